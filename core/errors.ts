/**
 * Every error that a caller can act on. `code` is stable (for `--json` and for programs);
 * the message says what was expected, what came, and what to do.
 */
export class HumqError extends Error {
  /** Stable, machine-readable reason. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** What a call ended with that none of its code threw. It has no stack: that would show humq's files, not the submitter's. */
export class CallEndError extends HumqError {
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.stack = `${this.name}: ${this.message}`;
  }
}

/** An option, argument or file the user gave is not what was expected. */
export class UsageError extends HumqError {
  constructor(message: string, options?: ErrorOptions) {
    super("usage", message, options);
  }
}

/** A value in arguments, a result or a captured variable cannot leave this process. `path` says which. */
export class UnsupportedValueError extends HumqError {
  readonly path: string;

  constructor(path: string, message: string, options?: ErrorOptions) {
    super("unsupported-value", `${path}: ${message}`, options);
    this.path = path;
  }
}

/** Bytes are not what their format says: truncated, altered, or made to harm. */
export class DecodeError extends HumqError {
  constructor(message: string, options?: ErrorOptions, code = "decode") {
    super(code, message, options);
  }
}

/**
 * What another side wrote, and signed, is of a version that this humq does not read: one of the two must be updated, and
 * the message says which.
 */
export class VersionError extends DecodeError {
  /** The version that came. */
  readonly found: number;
  /** The version that this humq reads. */
  readonly expected: number;

  constructor(message: string, found: number, expected: number, options?: ErrorOptions) {
    super(message, options, "version");
    this.found = found;
    this.expected = expected;
  }
}

/** The code of a task cannot be captured: names the variable, the function, file and line, and what to do. */
export class CaptureError extends HumqError {
  constructor(message: string, options?: ErrorOptions) {
    super("capture", message, options);
  }
}

/** A signature, hash, grant or decryption check failed. Permanent: never retried, never run. */
export class RefusedError extends HumqError {
  constructor(message: string, options?: ErrorOptions) {
    super("refused", message, options);
  }
}

/** Somebody's access is over: their grant expired, or was revoked. */
export class AccessOverError extends RefusedError {
  readonly why: "expired" | "revoked";

  constructor(why: "expired" | "revoked", message: string, options?: ErrorOptions) {
    super(message, options);
    this.why = why;
  }
}

/** The instance, its grant or its broker is not in the state an action needs. */
export class InstanceError extends HumqError {
  constructor(message: string, options?: ErrorOptions) {
    super("instance", message, options);
  }
}

/** The root key stays locked: the passphrase is wrong, or there is none and nobody to ask for it. */
export class PassphraseError extends HumqError {
  constructor(message: string, options?: ErrorOptions) {
    super("passphrase", message, options);
  }
}

/** The broker cannot be reached, is too old, or refused a request. */
export class BrokerError extends HumqError {
  constructor(message: string, options?: ErrorOptions) {
    super("broker", message, options);
  }
}

/** Nobody answers at the broker's address; that may pass. */
export class UnreachableError extends BrokerError {}

/** An archive file is missing, is not an archive, is newer than this version, or would be overwritten. */
export class ArchiveError extends HumqError {
  constructor(message: string, options?: ErrorOptions) {
    super("archive", message, options);
  }
}
