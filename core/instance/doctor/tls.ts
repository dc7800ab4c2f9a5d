/** Whether the way to the broker is encrypted, and for how long its certificate is good. */
import { isIP } from "node:net";
import { connect } from "node:tls";
import { hostOf, isTls, pemOf } from "../../broker/tls.ts";
import { formatDuration } from "../../duration.ts";
import type { JoinLink } from "../link.ts";
import { isLoopback } from "../loopback.ts";
import { type Check, ok, warn } from "./check.ts";

const DAY_MS = 24 * 60 * 60_000;
/** A certificate that ends sooner is worth a word. */
const NOTICE_MS = 30 * DAY_MS;
const TIMEOUT_MS = 5_000;

/** When the certificate that a server shows expires; undefined where it cannot be seen or is refused. */
function certificateUntilMs({ servers, authorities = [] }: JoinLink): Promise<number | undefined> {
  const { hostname, port } = new URL(`tls://${hostOf(servers[0] ?? "")}`);
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const trusted = authorities.length === 0 ? {} : { ca: authorities.map(pemOf) };
  const name = isIP(host) === 0 ? { servername: host } : {};
  return new Promise((resolve) => {
    const done = (untilMs?: number) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(untilMs);
    };
    const socket = connect({ host, port: Number(port), ...name, ...trusted });
    const timer = setTimeout(done, TIMEOUT_MS);
    socket.once("error", () => done());
    socket.once("secureConnect", () => done(Date.parse(socket.getPeerCertificate().valid_to)));
  });
}

/** Undefined where there is nothing to say: without TLS on loopback, or where the connection itself says what is wrong. */
export async function checkTls(link: JoinLink): Promise<Check | undefined> {
  const { servers } = link;
  if (!servers.every(isTls)) {
    if (servers.every((server) => isLoopback(new URL(server).hostname))) return undefined;
    return warn(
      "tls",
      "the way to the broker is not encrypted: the network sees who talks to whom, and can cut in",
      "Its owner turns TLS on: humq tls (docs/deploy.md).",
    );
  }
  const untilMs = await certificateUntilMs(link);
  if (untilMs === undefined) return undefined;
  const leftMs = untilMs - Date.now();
  const until = `the broker's certificate is valid until ${new Date(untilMs).toISOString()}`;
  if (leftMs > NOTICE_MS) return ok("tls", until);
  return warn("tls", `${until}: ${formatDuration(Math.max(0, leftMs))} from now`, "Its owner renews it: humq tls");
}
