import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { InstanceError } from "../../errors.ts";

/** Below the range systems take ports of outgoing connections from, so that the port is free at the next start too. */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;
const TRIES = 50;

/**
 * A port that nothing listens on. Between this answer and its use somebody else may take it; `NatsServer.start` with
 * port 0 tries again then.
 */
export async function findFreePort(host = "127.0.0.1"): Promise<number> {
  for (let i = 0; i < TRIES; i++) {
    const port = randomInt(FIRST_PORT, LAST_PORT);
    if ((await tryListen(host, port)) === undefined) return port;
  }
  throw new InstanceError(`No free port found on ${host} between ${FIRST_PORT} and ${LAST_PORT}. Name one: --port N`);
}

/** @throws InstanceError where a server could not listen there, with the reason. */
export async function checkPort(host: string, port: number): Promise<void> {
  const code = await tryListen(host, port);
  if (code !== undefined) throw portError(host, port, code);
}

export function portError(host: string, port: number, code: string): InstanceError {
  switch (code) {
    case "EADDRINUSE":
      return new InstanceError(
        `Port ${port} on ${host} is taken by another program. Choose another with --port N (--port 0 takes a free one).`,
      );
    case "EACCES":
      return new InstanceError(`Port ${port} on ${host} needs rights you do not have. Choose one above 1023: --port N`);
    case "EADDRNOTAVAIL":
      return new InstanceError(`${host} is not an address of this machine, so the broker cannot listen there.`);
    default:
      return new InstanceError(`The broker cannot listen on ${host}, port ${port} (${code}). Choose another: --port N`);
  }
}

/** The error code of listening there, or undefined where it works. */
function tryListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(undefined)));
  });
}
