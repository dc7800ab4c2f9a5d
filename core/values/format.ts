/**
 * The wire format of values: CBOR (RFC 8949), definite lengths only, with registered tags where the registry
 * (https://www.iana.org/assignments/cbor-tags) has one. docs/archive.md lists them for other readers.
 *
 * Written here rather than with cbor-x 1.6.8, against which the tests compare: that loses -0, lone surrogates, `__proto__` keys
 * and cycles through Maps and Sets, takes invalid UTF-8, and 9 s for a bigint of 160 KB (quadratic), so it can be made to hang.
 * The price: it encodes numbers and short texts twice as fast (0.1 against 0.3 us) and decodes long lists two to three times as
 * fast; small objects take the same, and it encodes long lists of objects 1.5 times as slowly.
 */

/** Major types, shifted into the top three bits of an item's first byte (RFC 8949, section 3.1). */
export const Major = {
  unsigned: 0x00,
  negative: 0x20,
  bytes: 0x40,
  text: 0x60,
  array: 0x80,
  map: 0xa0,
  tag: 0xc0,
  simple: 0xe0,
} as const;

/** Items of major type 7 that humq writes or reads (RFC 8949, section 3.3). */
export const Simple = {
  false: 0xf4,
  true: 0xf5,
  null: 0xf6,
  undefined: 0xf7,
  float16: 0xf9,
  float32: 0xfa,
  float64: 0xfb,
} as const;

export const Tag = {
  /** A Date: seconds since 1970 as an integer or a double; NaN is the invalid Date (RFC 8949). */
  date: 1,
  /** A bigint outside 64 bits, big-endian (RFC 8949). */
  positiveBigint: 2,
  negativeBigint: 3,
  /** `[type name, ...constructor arguments]` (http://cbor.schmorp.de/generic-object). */
  object: 27,
  /** Marks a value that tag 29 refers to, numbered in order of appearance (http://cbor.schmorp.de/value-sharing). */
  shared: 28,
  reference: 29,
  /** A Set, as an array (https://github.com/input-output-hk/cbor-sets-spec). */
  set: 258,
  /** A Map, as a CBOR map with keys of any type (https://github.com/shanewholloway/js-cbor-codec). */
  map: 259,
  /** A string with lone surrogates, as WTF-8 bytes, which a CBOR text must not hold (IANA registry). */
  wtf8: 273,
} as const;

/**
 * Containers may be nested this deep, both ways. It bounds the stack that a hostile message can take;
 * what can be encoded can always be decoded.
 */
export const MAX_DEPTH = 1000;

/**
 * The most bytes a value may take once encoded: 512 MiB. SQLite holds 1,000,000,000 bytes in one field, and a larger
 * result belongs in a file.
 */
export const MAX_ENCODED_BYTES = 512 * 1024 * 1024;
