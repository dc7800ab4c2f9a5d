/** `node worker-main.ts FOLDER SOCKET inside|sandboxed CONCURRENCY`: one of BullMQ's workers. */
import { fileURLToPath } from "node:url";
import { serveLines } from "../support/serve.ts";
import { connection, loadBullMQ, QUEUE } from "./api.ts";
import processor from "./processor.ts";

const [folder = "", socket = "", way = "", concurrency = ""] = process.argv.slice(2);
const { Worker } = loadBullMQ(folder);
const worker = new Worker(
  QUEUE,
  way === "sandboxed" ? fileURLToPath(import.meta.resolve("./processor.ts")) : processor,
  { connection: connection(socket), concurrency: Number(concurrency) },
);

serveLines({
  ready: () => worker.waitUntilReady(),
  async concurrency(number) {
    worker.concurrency = number;
  },
});
