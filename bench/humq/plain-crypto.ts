/** Stands in for node:crypto in the bench's copy of humq that does not encrypt: same shapes and sizes, no cipher. */

/** Gives back what it is given, in a buffer of its own as a cipher does. */
class NoCipher {
  setAAD(): this {
    return this;
  }

  setAuthTag(): this {
    return this;
  }

  setAutoPadding(): this {
    return this;
  }

  update(data: Uint8Array): Buffer {
    return Buffer.from(data);
  }

  final(): Buffer {
    return Buffer.alloc(0);
  }

  getAuthTag(): Buffer {
    return Buffer.alloc(16);
  }
}

export * from "node:crypto";

export function createCipheriv(): NoCipher {
  return new NoCipher();
}

export function createDecipheriv(): NoCipher {
  return new NoCipher();
}
