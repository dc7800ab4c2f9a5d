import { jetstreamManager } from "@nats-io/jetstream";
import { headers, type Msg, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { IMPORTED_API, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { BrokerError } from "../../core/errors.ts";
import { Lab, type Person } from "../support/lab.ts";

/** A user is free in their own account: they can answer a worker's questions themselves, in the broker's place. */
let lab: Lab;
let mallory: Person;
let honest: Person;
let worker: NatsConnection;
let reader: StreamReader;
let answer: (question: Msg) => void;

beforeAll(async () => {
  lab = await Lab.start();
  mallory = await lab.join("mallory");
  honest = await lab.join("honest");
  worker = (await lab.worker()).nc;
  reader = await StreamReader.open(worker, IMPORTED_API);
  await publish(honest.nc, { subject: subjectOf.manifest(honest.u, "work"), data: Buffer.from("manifest") });
  const manager = await jetstreamManager(mallory.nc, { checkAPI: false });
  await manager.streams.delete(streamOf.tags(mallory.u));
  mallory.nc.subscribe("$JS.API.DIRECT.GET.>", { callback: (_error, question) => answer(question) });
  await mallory.nc.flush();
}, 300_000);
afterAll(() => lab[Symbol.asyncDispose]());
beforeEach(() => {
  answer = () => undefined;
});

const stream = () => streamOf.tags(mallory.u);
const subject = () => subjectOf.manifest(mallory.u, "work");

function stored(changes: Record<string, string> = {}): MsgHdrs {
  const set = headers();
  const proper = { "Nats-Stream": stream(), "Nats-Subject": subject(), "Nats-Sequence": "7", "Nats-Num-Pending": "0" };
  for (const [name, value] of Object.entries({ ...proper, ...changes })) if (value !== "") set.set(name, value);
  return set;
}
const status = (code: number, text: string) => headers(code, text);

async function walk(): Promise<number> {
  let count = 0;
  for await (const _ of reader.all(stream(), `$KV.humq_tags_${mallory.u}.tag.*`)) count++;
  return count;
}

/** What other users have is there as before: the connection goes on. */
async function expectOthersServed(): Promise<void> {
  const found = await reader.next(streamOf.tags(honest.u), subjectOf.manifest(honest.u, "work"));
  expect(found?.string()).toBe("manifest");
}

const improper = () =>
  new BrokerError(`cannot read ${subject()} from ${stream()}: the answer is not what was asked for`);

describe("an answer", () => {
  test.each<[string, (question: Msg) => void]>([
    ["without anything", (question) => question.respond()],
    ["without headers", (question) => question.respond("garbage")],
    [
      "with other headers",
      (question) => question.respond("x", { headers: stored({ "Nats-Subject": "", "Nats-Sequence": "" }) }),
    ],
    ["without a subject", (question) => question.respond("x", { headers: stored({ "Nats-Subject": "" }) })],
    ["without a sequence", (question) => question.respond("x", { headers: stored({ "Nats-Sequence": "" }) })],
    [
      "whose sequence is no number",
      (question) => question.respond("x", { headers: stored({ "Nats-Sequence": "abc" }) }),
    ],
    [
      "whose sequence is no integer",
      (question) => question.respond("x", { headers: stored({ "Nats-Sequence": "1.5" }) }),
    ],
    [
      "whose sequence is too large",
      (question) => question.respond("x", { headers: stored({ "Nats-Sequence": "1e300" }) }),
    ],
    ["before what was asked for", (question) => question.respond("x", { headers: stored({ "Nats-Sequence": "0" }) })],
    [
      "of another subject",
      (question) => question.respond("x", { headers: stored({ "Nats-Subject": "$KV.humq_grants.revoked" }) }),
    ],
    [
      "of a longer subject",
      (question) => question.respond("x", { headers: stored({ "Nats-Subject": `${subject()}.x` }) }),
    ],
    [
      "of a user like it",
      (question) => question.respond("x", { headers: stored({ "Nats-Subject": subject().replace("$KV.", "XKV.") }) }),
    ],
  ])("%s is refused, and the connection goes on", async (_, hostile) => {
    answer = hostile;
    await expect(reader.next(stream(), subject())).rejects.toThrow(improper());
    await expect(walk()).rejects.toThrow(
      new BrokerError(
        `cannot read $KV.humq_tags_${mallory.u}.tag.* from ${stream()}: the answer is not what was asked for`,
      ),
    );
    await expectOthersServed();
  });

  test("with an unknown status says which", async () => {
    answer = (question) => question.respond("", { headers: status(418, "I am a teapot") });
    await expect(reader.next(stream(), subject())).rejects.toThrow(
      new BrokerError(`cannot read ${subject()} from ${stream()}: I am a teapot (418)`),
    );
    await expectOthersServed();
  });

  test("that there is none is believed", async () => {
    answer = (question) => question.respond("", { headers: status(404, "Message Not Found") });
    expect(await reader.next(stream(), subject())).toBeNull();
    expect(await walk()).toBe(0);
  });
});

describe("a walk over a hostile user's messages", () => {
  const filter = () => `$KV.humq_tags_${mallory.u}.tag.*`;

  test("ends where they go back or repeat themselves", async () => {
    answer = (question) => {
      for (const seq of ["5", "5", "5"]) question.respond("x", { headers: stored({ "Nats-Sequence": seq }) });
    };
    await expect(walk()).rejects.toThrow(
      new BrokerError(`cannot read ${filter()} from ${stream()}: the answer is not what was asked for`),
    );
    await expectOthersServed();
  });

  test("takes no more than it asked for", async () => {
    answer = (question) => {
      for (let seq = 1; seq <= 3000; seq++) {
        question.respond("x", { headers: stored({ "Nats-Sequence": String(seq) }) });
      }
    };
    await expect(walk()).rejects.toThrow(
      new BrokerError(`cannot read ${filter()} from ${stream()}: more came than was asked for`),
    );
    await expectOthersServed();
  });

  test("nor more bytes", async () => {
    const large = Buffer.alloc(4 * 2 ** 20);
    answer = (question) => {
      for (let seq = 1; seq <= 6; seq++) question.respond(large, { headers: stored({ "Nats-Sequence": String(seq) }) });
    };
    await expect(walk()).rejects.toThrow(
      new BrokerError(`cannot read ${filter()} from ${stream()}: more came than was asked for`),
    );
    await expectOthersServed();
  });

  test("gives up where no more comes", async () => {
    answer = (question) => question.respond("x", { headers: stored() });
    await expect(walk()).rejects.toThrow(new BrokerError(`cannot read ${filter()} from ${stream()}: timeout`));
    await expectOthersServed();
  });

  test("finds nobody where the user withdraws", async () => {
    const { nc, u } = await lab.join("gone");
    const manager = await jetstreamManager(nc, { checkAPI: false });
    await manager.streams.delete(streamOf.tags(u));
    await expect(reader.next(streamOf.tags(u), subjectOf.manifest(u, "work"))).rejects.toThrow(BrokerError);
    await expectOthersServed();
  });
});
