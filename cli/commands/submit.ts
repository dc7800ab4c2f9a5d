import { Args, Flags } from "@oclif/core";
import { UsageError } from "../../core/errors.ts";
import { HumqCommand, prose } from "../command.ts";
import { defined } from "../defined.ts";
import { keepStdoutForData, message } from "../output.ts";

/** @throws UsageError where there is none */
async function* someCalls(calls: AsyncIterable<unknown[]>, file: string): AsyncGenerator<unknown[]> {
  let isAny = false;
  for await (const list of calls) {
    isAny = true;
    yield list;
  }
  if (!isAny) throw new UsageError(`nothing to submit: ${file === "-" ? "stdin" : file} holds no calls`);
}

export default class Submit extends HumqCommand {
  static override summary = "Send calls of a function in a file, without writing any other code.";
  static override description =
    prose(`FILE is TypeScript or JavaScript and is loaded here, as Node would; FUNCTION is one that it exports (default: the default export,
or the only function exported). Each line of the --args file is one call: an array holds the arguments in order, an object holds
them by the parameters' names (a function with one { destructured } parameter gets the object itself). The
lines are sent as they are read, so there may be any number of them; where one is wrong nothing is submitted: what was sent is removed. The tag's name goes to stdout; what the file prints while it loads goes to stderr.

A submit that is cut off (Ctrl-C, a crash, no network) leaves a half-submitted tag: nothing of it runs. The same command once more with
--resume TAG sends what is missing; humq delete TAG removes it. What is stored is compared with file, calls and options first:
where they differ nothing is changed.`);
  static override examples = [
    "<%= config.bin %> submit work.ts#simulate --args calls.jsonl",
    `seq 100 | sed 's/.*/[&]/' | <%= config.bin %> submit pi.js --args - --tag pi --chunk-size 10`,
    "<%= config.bin %> submit try.ts --args few.jsonl --retention 1d",
    "<%= config.bin %> submit resize.ts --args files.jsonl --package sharp@0.34 --cpus 2 --time-limit 5m",
    "<%= config.bin %> submit work.ts#simulate --args calls.jsonl --resume last",
  ];
  static override args = {
    file: Args.string({ required: true, description: "the file; with #FUNCTION behind it, the function in it" }),
  };
  static override flags = {
    args: Flags.string({
      required: true,
      helpValue: "FILE",
      description: "the calls: a JSON array or object a line; - for stdin",
    }),
    tag: Flags.string({ helpValue: "LABEL", description: "the tag's label; default: the function's name" }),
    package: Flags.string({
      helpValue: "NAME@VERSION",
      multiple: true,
      multipleNonGreedy: true,
      description: "install on the worker instead of bundling",
    }),
    datacenter: Flags.string({
      helpValue: "NAME",
      multiple: true,
      multipleNonGreedy: true,
      description: "may run it; default: all that serve you",
    }),
    "chunk-size": Flags.string({
      helpValue: "N|auto",
      description:
        "calls in one message; auto: by the time that the first eight take, which run once more for it [default: 1]",
    }),
    cpus: Flags.integer({ helpValue: "N", description: "cores that one call occupies [default: 1]" }),
    memory: Flags.string({
      helpValue: "2GiB",
      description: "memory that one call may take, with all that it starts; default: no limit",
    }),
    "time-limit": Flags.string({ helpValue: "5m", description: "how long one call may run; default: no limit" }),
    "time-request": Flags.string({
      helpValue: "1h",
      description: "only workers that have so much time left take a call; default: the time limit",
    }),
    priority: Flags.integer({
      helpValue: "N",
      description: "among your tags, higher first; those of the same share alike [default: 0]",
    }),
    attempts: Flags.integer({ helpValue: "N", description: "how often a failing call is run in all [default: 1]" }),
    "max-losses": Flags.integer({
      helpValue: "N",
      description: "a call whose worker vanished so often is not run again [default: 5]",
    }),
    concurrency: Flags.integer({ helpValue: "N", description: "calls that run at once at most; default: no limit" }),
    retention: Flags.string({
      helpValue: "7d",
      description: "how long the broker keeps the tag; up to [default: 30d]",
    }),
    resume: Flags.string({
      helpValue: "TAG",
      description: "finish this half-submitted tag: name, any unambiguous beginning of it, or last",
    }),
    quiet: Flags.boolean({ char: "q", description: "no progress bar and no messages" }),
  };

  async run() {
    const { args, flags } = await this.parse(Submit);
    keepStdoutForData();
    const { readyInstance } = await import("../instance.ts");
    const { loadFunction } = await import("../submit/load.ts");
    const { readCalls } = await import("../submit/calls.ts");
    const { asTask, codeOf } = await import("../submit/task.ts");
    const { parametersOf } = await import("../submit/parameters.ts");
    const instance = await readyInstance(flags.instance);
    const { fn, name } = await loadFunction(args.file);
    const task = asTask(fn, name);
    const { package: packages, datacenter: datacenters, "chunk-size": chunkSize, "time-limit": timeLimit } = flags;
    const { "time-request": timeRequest, "max-losses": maxLosses } = flags;
    const { tag: label, cpus, memory, priority, attempts, concurrency, retention, resume } = flags;
    const limits = defined({ timeLimit, timeRequest, memory, attempts, maxLosses, concurrency, retention });
    const quiet = flags.quiet || this.jsonEnabled();
    const tag = await task.submit(someCalls(readCalls(flags.args, parametersOf(codeOf(fn))), flags.args), {
      ...defined({ packages, datacenters, chunkSize: chunkSizeOf(chunkSize), tag: label, cpus, priority, resume }),
      ...limits,
      quiet,
      instance: instance.name,
    });
    const { length: calls } = tag;
    const expiresMs = tag.expires?.getTime() ?? 0;
    if (!quiet) {
      const { moment } = await import("../table.ts");
      message(
        `Submitted ${calls} call${calls === 1 ? "" : "s"} of ${name}, kept until ${moment(expiresMs)}. ` +
          `Next: humq pull ${tag.name} --wait`,
      );
    }
    await this.print(tag.name);
    return { tag: tag.name, task: name, calls, expiresMs };
  }
}

/** A number where it is one; what it may be says the library. */
function chunkSizeOf(text: string | undefined): number | "auto" | undefined {
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : (text as "auto" | undefined);
}
