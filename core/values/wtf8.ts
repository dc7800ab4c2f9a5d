/**
 * WTF-8 (https://simonsapin.github.io/wtf-8/): UTF-8 that also holds lone surrogates, so that every JavaScript string has
 * a byte form. Only strings that are not well formed take this way.
 */
export function encodeWtf8(text: string): Uint8Array {
  const bytes = Buffer.allocUnsafe(text.length * 3);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const point = text.codePointAt(i) as number;
    if (point < 0x80) {
      bytes[length++] = point;
    } else if (point < 0x800) {
      bytes[length++] = 0xc0 | (point >> 6);
      bytes[length++] = 0x80 | (point & 0x3f);
    } else if (point < 0x10000) {
      bytes[length++] = 0xe0 | (point >> 12);
      bytes[length++] = 0x80 | ((point >> 6) & 0x3f);
      bytes[length++] = 0x80 | (point & 0x3f);
    } else {
      i++; // a surrogate pair takes two units of the string
      bytes[length++] = 0xf0 | (point >> 18);
      bytes[length++] = 0x80 | ((point >> 12) & 0x3f);
      bytes[length++] = 0x80 | ((point >> 6) & 0x3f);
      bytes[length++] = 0x80 | (point & 0x3f);
    }
  }
  return bytes.subarray(0, length);
}

/** The string whose WTF-8 form is `bytes`; undefined if they are not WTF-8. */
export function decodeWtf8(bytes: Uint8Array): string | undefined {
  const units: string[] = [];
  let i = 0;
  while (i < bytes.length) {
    const first = bytes[i++] as number;
    if (first < 0x80) {
      units.push(String.fromCharCode(first));
      continue;
    }
    const more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || i + more > bytes.length) return undefined;
    let point = first & (0x3f >> more);
    for (let n = 0; n < more; n++) {
      const next = bytes[i++] as number;
      if ((next & 0xc0) !== 0x80) return undefined;
      point = (point << 6) | (next & 0x3f);
    }
    const least = more === 3 ? 0x10000 : more === 2 ? 0x800 : 0x80;
    if (point < least || point > 0x10ffff) return undefined;
    units.push(String.fromCodePoint(point));
  }
  return units.join("");
}
