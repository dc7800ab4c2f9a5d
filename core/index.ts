/** What users of the library import. */
export type { Bookkeeping } from "./archive/index.ts";
export { Client, type Pong } from "./client.ts";
export type { CallList } from "./control/calls.ts";
export type { CancelOptions } from "./control/cancel.ts";
export type { DeleteOptions } from "./control/delete.ts";
export type { RetryOptions } from "./control/retry.ts";
export type { StateChoice } from "./control/states.ts";
export {
  ArchiveError,
  BrokerError,
  CaptureError,
  DecodeError,
  HumqError,
  InstanceError,
  RefusedError,
  UnsupportedValueError,
  UsageError,
} from "./errors.ts";
export { type GrantOptions, grantAccess, listGrants } from "./instance/grant.ts";
export { Instance, listInstances } from "./instance/home.ts";
export { type RequestOptions, requestAccess } from "./instance/join.ts";
export type { SubmitOptions } from "./options.ts";
export { PermanentError } from "./permanent.ts";
export type { EndsWith, Made as MadeShare, SharedWith, ShareOptions } from "./share/share.ts";
export type { Calls } from "./submit/source.ts";
export type { LoadedCall, TagCall } from "./tag/call.ts";
export type { ListedTag } from "./tag/list.ts";
export type { LogPiece, LogText } from "./tag/log.ts";
export type { PullOptions } from "./tag/pull.ts";
export type { RunOptions } from "./tag/rerun.ts";
export type { EndedByState } from "./tag/states.ts";
export type { StatusOptions, TagStatus } from "./tag/status.ts";
export { type CallError, type CallOutcome, Tag, type ToFileOptions } from "./tag/tag.ts";
export { type AnyFunction, type Call, type Task, type TaskOptions, task } from "./task.ts";
export type { Grant, Role } from "./trust/grant.ts";
export { VERSION } from "./version.ts";
export type { TagEvent } from "./watch/events.ts";
export type { Explanation, Reason, ReasonCode } from "./watch/explain.ts";
export type { LogsOptions } from "./watch/logs.ts";
export type { RunningCalls } from "./watch/running.ts";
export type { Waited, WaitOptions } from "./watch/wait.ts";
export type { WorkerEntry } from "./watch/workers.ts";
