import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findNatsServer, NatsServer } from "../../core/instance/server/index.ts";
import type { Cleanup } from "../cleanup.ts";

/** JetStream as humq's own configuration sets it (core/instance/server/config.ts); no accounts, nobody logs in. */
const CONFIGURATION = `
server_name: humq-bench-floor
max_payload: 8388608
jetstream {
  store_dir: "store"
  sync_interval: "1s"
  limits {
    batch { max_inflight_per_stream: 5000, max_inflight_total: 20000, timeout: "3s" }
  }
}
`;

/** The same nats-server program that humq uses, for nats.js alone. */
export async function startFloorServer(folder: string, cleanup: Cleanup): Promise<{ url: string; version: string }> {
  const home = join(folder, "floor-server");
  mkdirSync(home);
  const configPath = join(home, "nats.conf");
  writeFileSync(configPath, CONFIGURATION);
  const { path, version } = await findNatsServer();
  const server = await NatsServer.start({
    binary: path,
    configPath,
    storeDir: join(home, "store"),
    logPath: join(home, "server.log"),
    port: 0,
  });
  cleanup.add(() => server.stop());
  return { url: server.url, version };
}
