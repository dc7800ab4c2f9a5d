import { closeSync, openSync, readSync, statSync } from "node:fs";
import { ArchiveError } from "../errors.ts";
import { APPLICATION_ID, SCHEMA_VERSION } from "./schema.ts";

/** The first bytes of every SQLite file, and where two of its fields are (https://sqlite.org/fileformat.html, 1.3). */
const MAGIC = Buffer.from("SQLite format 3\0", "latin1");
const HEADER_BYTES = 100;
const USER_VERSION_OFFSET = 60;
const APPLICATION_ID_OFFSET = 68;

/**
 * Makes sure that a file is an archive of a version that can be read, from its first bytes alone: SQLite is not let near
 * a file that is not ours, since opening one may write to it or leave files beside it.
 *
 * @throws ArchiveError if it is missing, is no archive, or is newer than this version of humq.
 */
export function checkHeader(path: string): void {
  const header = readHeader(path);
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new ArchiveError(
      `${path} is not a humq archive: it is no SQLite file; name one that toFile() or humq pull wrote`,
    );
  }
  if (header.length < HEADER_BYTES || header.readUInt32BE(APPLICATION_ID_OFFSET) !== APPLICATION_ID) {
    throw new ArchiveError(
      `${path} is not a humq archive, but another program's SQLite file; nothing was changed in it`,
    );
  }
  const version = header.readUInt32BE(USER_VERSION_OFFSET);
  if (version > SCHEMA_VERSION) {
    throw new ArchiveError(
      `${path} was written by a newer humq: its schema has version ${version}, this one reads up to ${SCHEMA_VERSION}; update humq`,
    );
  }
}

function readHeader(path: string): Buffer {
  try {
    const there = statSync(path);
    if (there.isDirectory()) throw new ArchiveError(`${path} is a folder, not a humq archive`);
    // A pipe would have us wait for ever.
    if (!there.isFile()) throw new ArchiveError(`${path} is no file, so no humq archive`);
    const file = openSync(path, "r");
    try {
      const header = Buffer.alloc(HEADER_BYTES);
      return header.subarray(0, readSync(file, header, 0, HEADER_BYTES, 0));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof ArchiveError) throw error;
    if ((error as NodeJS.ErrnoException).code === "ENOENT") throw new ArchiveError(`there is no file ${path}`);
    throw new ArchiveError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
