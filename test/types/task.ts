/** Checked by the compiler alone (`npm run types`): types flow from the function through its calls to the results. */
import { type Call, type Tag, type Task, task } from "../../core/index.ts";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectSame<_T extends true>(): void {}

export async function typesFlow(): Promise<void> {
  const costly = task(async (a: number, b: string) => ({ a, b }));
  const call = costly(1, "x");
  expectSame<Same<typeof call, Call<{ a: number; b: string }>>>();

  // @ts-expect-error a number parameter takes no text
  costly("1", "x");
  // @ts-expect-error an argument is missing
  costly(1);

  const tag = await costly.submit();
  expectSame<Same<typeof tag, Tag<{ a: number; b: string }>>>();
  for await (const result of tag.results()) expectSame<Same<typeof result, { a: number; b: string } | null>>();
  expectSame<Same<Awaited<ReturnType<typeof tag.result>>, { a: number; b: string }>>();

  // @ts-expect-error there is no such option
  await costly.submit({ chunksize: 3 });

  const plain: Task<[x: number], number> = task((x: number) => x + 1);
  plain(2);

  const partly = task((x: number, scale: number) => x * scale, { defaults: { scale: 3 } });
  partly(2);
}

export class Work {
  @task
  static double(x: number): number {
    return 2 * x;
  }
}

export function decorated(): void {
  // The decorator keeps the method's own type; task() gives the wrapper's.
  const double = task(Work.double);
  double(3);
  // @ts-expect-error a number parameter takes no text
  double("3");
}
