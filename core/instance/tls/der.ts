/** DER (ITU-T X.690), as far as certificates of ours need it. Only written here: OpenSSL and Go read it. */

const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Length in as few bytes as it takes (X.690 section 10.1). */
function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

function encode(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content.length)]), content]);
}

export const sequence = (...parts: Uint8Array[]) => encode(Tag.sequence, ...parts);
export const set = (...parts: Uint8Array[]) => encode(Tag.set, ...parts);
export const octetString = (content: Uint8Array) => encode(Tag.octetString, content);
export const utf8 = (text: string) => encode(Tag.utf8, Buffer.from(text, "utf8"));
export const boolean = (value: boolean) => encode(Tag.boolean, Buffer.from([value ? 0xff : 0]));

/** `[number]` with something whole inside (explicit) or in place of its own tag (implicit). */
export const explicit = (number: number, content: Uint8Array) => encode(0xa0 | number, content);
export const implicit = (number: number, content: Uint8Array) => encode(0x80 | number, content);

/** A number above 0, most significant byte first. */
export function integer(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const short = bytes.subarray(start);
  // The first bit is the sign.
  return encode(Tag.integer, Buffer.from((short[0] ?? 0) >= 0x80 ? [0] : []), short);
}

/** @param unused bits at the end that are not part of it */
export function bitString(content: Uint8Array, unused = 0): Buffer {
  return encode(Tag.bitString, Buffer.from([unused]), content);
}

/** An object identifier such as `1.3.101.112`. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes: number[] = [];
  for (const part of [first * 40 + second, ...rest]) {
    const group = [part & 0x7f];
    for (let more = part >>> 7; more > 0; more >>>= 7) group.unshift(0x80 | (more & 0x7f));
    bytes.push(...group);
  }
  return encode(Tag.oid, Buffer.from(bytes));
}

/** To the second; from 2050 on with a year of four digits (RFC 5280 section 4.1.2.5). */
export function time(date: Date): Buffer {
  const digits = date
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replace(/[-:T]/g, "");
  const short = date.getUTCFullYear() < 2050;
  return encode(short ? Tag.utcTime : Tag.generalizedTime, Buffer.from(short ? digits.slice(2) : digits, "ascii"));
}
