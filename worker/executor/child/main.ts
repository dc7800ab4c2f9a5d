/** The executor: a process that runs one user's calls, one at a time. Started by ../launch.ts. */
import { watchLifeline } from "../../isolation/lifeline.ts";
import { LIFELINE_FD, type Message } from "../protocol.ts";
import { callContext } from "./call.ts";
import { captureConsole } from "./console-output.ts";
import { freshFolders } from "./folders.ts";
import { listen, send } from "./link.ts";
import { Runner } from "./runner.ts";
import { addCode, addTag, forget } from "./tags.ts";

let runner: Runner | undefined;

function start(options: Extract<Message, { kind: "start" }>["body"]): Runner {
  if (options.watchLifeline === 1) watchLifeline(LIFELINE_FD);
  process.umask(0o077);
  freshFolders(options.folders);
  const started = new Runner(options);
  captureConsole(() => started.active, options.marker, options.outputLimitBytes);
  const onStray = (error: unknown): void => started.stray(error, callContext.getStore());
  process.on("uncaughtException", onStray);
  process.on("unhandledRejection", onStray);
  process.on("exit", () => started.flush());
  send("ready", { version: process.version });
  return started;
}

function onMessage(message: Message): void {
  if (message.kind === "start") {
    runner = start(message.body);
    return;
  }
  if (runner === undefined) throw new Error(`${message.kind} came before start`);
  switch (message.kind) {
    case "code":
      addCode(message.body);
      break;
    case "tag":
      addTag(message.body);
      break;
    case "forget":
      forget(message.body.tagIds, message.body.codeIds);
      break;
    case "run":
      runner.queue.add(message.body.jobs);
      runner.pump();
      break;
    case "part":
      runner.queue.addPart(message.body.job, message.body.part, message.body.sealed);
      runner.pump();
      break;
    case "withdraw":
      send("withdrawn", { jobs: runner.queue.withdraw(message.body.jobs) });
      break;
    case "memory":
      runner.seen(message.body.job, message.body.bytes);
      break;
    default:
      throw new Error(`${message.kind} is no message to an executor`);
  }
}

listen(onMessage);
