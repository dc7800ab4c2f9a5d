/** What those whom a user shares a tag with may ask of the user's account: single messages, by their subjects. */
import { shortUser, streamOf, subjectOf } from "./names.ts";

/**
 * API operations without their prefix.
 * @param tag its name; `*` for all
 */
export function readerOperations(u: string, tag: string): string[] {
  const tags = [
    subjectOf.manifest(u, tag),
    subjectOf.close(u, tag),
    subjectOf.retry(u, tag, "*"),
    subjectOf.keys(u, tag, "*"),
  ];
  return [
    ...tags.map((subject) => `DIRECT.GET.${streamOf.tags(u)}.${subject}`),
    `DIRECT.GET.${streamOf.results(u)}.${subjectOf.outcome(u, "*", "*", tag, "*")}`,
    `DIRECT.GET.${streamOf.outputs(u)}.${subjectOf.outputPart(u, "*", tag, "*", "*")}`,
  ];
}

/** How far a tag's queue is; datacenters are offered it as well. */
export function queueOperation(u: string, tag: string): string {
  return `CONSUMER.INFO.${streamOf.calls(u)}.${tag}`;
}

/** {@link readerOperations} of any tag of a user. */
export function operationsOfAnyTag(user: string): string[] {
  return readerOperations(shortUser(user), "*");
}
