/** What a granted user could sign to wear a worker out. */
import { expect, test } from "vitest";
import { type CallBody, CallVerifier, MESSAGE_CALLS, signPage } from "../../core/trust/call.ts";
import { openOptions, sealOptions } from "../../core/trust/options.ts";
import { alice, bodiesOf, counting, options, owner, tagKey } from "../support/trust.ts";

function opened(change: Partial<CallBody>): () => CallBody {
  const page = signPage(owner, 0, [{ ...bodiesOf(1)[0]!, ...change }], alice.signer);
  return () => new CallVerifier(owner, alice.signer.publicKey).open(page.messages[0]!.message, 0);
}

test.each([0, MESSAGE_CALLS + 1, 0xffff_ffff])("a message of %d calls is refused", (count) => {
  expect(opened({ count })).toThrow(`it claims ${count} calls`);
});

test("a message of as many calls as a submit allows is taken", () => {
  expect(opened({ count: MESSAGE_CALLS })().count).toBe(MESSAGE_CALLS);
});

test("arguments in parts come with the hash of these", () => {
  expect(opened({ parts: 2, sealed: new Uint8Array() })).toThrow("its parts have no hash");
  expect(opened({ parts: 2, sealed: counting(0) })().parts).toBe(2);
});

test("a call takes at least one cpu: else it would weigh nothing against other users' calls", () => {
  const opening = (cpus: number) => openOptions(tagKey, owner, sealOptions(tagKey, owner, { ...options, cpus }));
  expect(() => opening(0)).toThrow("ask for 0 cpus");
  expect(opening(1).cpus).toBe(1);
});
