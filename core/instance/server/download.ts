import { createWriteStream } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { NotPublishedError } from "./version.ts";

/** A machine without a way out must notice at once: resolving, connecting and TLS together get this long. */
const CONNECT_TIMEOUT_MS = 3_000;
/** Once connected, this long without a byte is a broken transfer. */
const STALL_TIMEOUT_MS = 20_000;
const NOT_FOUND = 404;
const MOST_REDIRECTS = 5;
const LONGEST_TEXT_BYTES = 1 << 20;

/** Fetch a small text. @throws Error with a sentence. */
export async function downloadText(url: string): Promise<string> {
  const response = await open(new URL(url), MOST_REDIRECTS);
  let received = 0;
  response.on("data", (part: Buffer) => {
    received += part.length;
    if (received > LONGEST_TEXT_BYTES) response.destroy(new Error(`${url} is larger than expected`));
  });
  return await text(response);
}

/** Fetch a file to `path`, which must not exist. @throws Error with a sentence. */
export async function downloadFile(url: string, path: string): Promise<void> {
  await pipeline(await open(new URL(url), MOST_REDIRECTS), createWriteStream(path, { flags: "wx" }));
}

function open(url: URL, redirectsLeft: number): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { get } = url.protocol === "http:" ? http : https;
    const fail = (reason: string) => {
      request.destroy();
      reject(new Error(`${url.host}: ${reason}`));
    };
    const request = get(url, { headers: { "user-agent": "humq" } }, (response) => {
      const status = response.statusCode ?? 0;
      const target = response.headers.location;
      if (status >= 300 && status < 400 && target !== undefined) {
        response.destroy();
        const next = new URL(target, url);
        if (redirectsLeft === 0) fail("too many redirects");
        else if (url.protocol === "https:" && next.protocol !== "https:") fail("redirects to a link without TLS");
        else open(next, redirectsLeft - 1).then(resolve, reject);
      } else if (status === NOT_FOUND) {
        request.destroy();
        reject(new NotPublishedError(`${url.host} has no ${url.pathname}`));
      } else if (status !== 200) {
        fail(`answered ${status} for ${url.pathname}`);
      } else {
        resolve(response);
      }
    });
    const connecting = setTimeout(() => fail("no answer in time"), CONNECT_TIMEOUT_MS);
    const connected = () => clearTimeout(connecting);
    request.on("close", connected);
    request.on("socket", (socket) => {
      if (request.reusedSocket) connected();
      else socket.once(url.protocol === "http:" ? "connect" : "secureConnect", connected);
    });
    request.setTimeout(STALL_TIMEOUT_MS, () => fail("no answer in time"));
    request.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
  });
}
