/** Errors of the NATS client become errors of humq that say what to do. */
import { JetStreamApiError } from "@nats-io/jetstream";
import { TimeoutError } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { EXIT, failureOf } from "../../cli/failure.ts";
import { ApiError } from "../../core/broker/publish.ts";
import { asBrokerError } from "../../core/broker/trouble.ts";
import { BrokerError } from "../../core/errors.ts";

const FULL = "write store/1.blk: no space left on device";
const apiError = new JetStreamApiError({ code: 503, err_code: 10077, description: FULL });

test("what the NATS client throws is a BrokerError, with its cause", () => {
  for (const error of [apiError, new TimeoutError()]) {
    const told = asBrokerError(error) as BrokerError;
    expect(told).toBeInstanceOf(BrokerError);
    expect(told.cause).toBe(error);
    expect(told.message).toMatch(/^the broker does not do what it was asked: ./);
  }
});

test("other errors are left as they are", () => {
  for (const error of [new TypeError("x"), new BrokerError("y"), "z"]) expect(asBrokerError(error)).toBe(error);
});

test("a full disk and a full share say who makes room, and how", () => {
  expect((asBrokerError(apiError) as Error).message).toBe(
    `the broker does not do what it was asked: ${FULL}: the disk of the broker is full. Whoever runs it makes room there ` +
      "and starts nats-server again; nothing that was stored is lost",
  );
  expect(new ApiError("humq.call.u.t.0", 10077, "maximum bytes exceeded").message).toBe(
    "humq.call.u.t.0: maximum bytes exceeded (JetStream error 10077): your share of the broker's disk is full. Make room " +
      "with humq delete TAG, or --downloaded-only after a pull, or ask its owner for more",
  );
});

test("a disk that has no room for the file of a queue is named too", () => {
  const error = new JetStreamApiError({ code: 500, err_code: 10104, description: "error creating store for consumer" });
  expect((asBrokerError(error) as Error).message).toMatch(/error creating store for consumer: its disk is full, or /);
});

test("the command line does not call it a bug", () => {
  expect(failureOf(apiError)).toMatchObject({ exitCode: EXIT.failed, code: "broker" });
});
