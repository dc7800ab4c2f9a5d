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

  function* cases(): Generator<Parameters<typeof costly>> {
    for (let i = 0; i < 3; i++) yield [i, "x"];
  }
  const given = await costly.submit(cases(), { tag: "given" });
  expectSame<Same<typeof given, Tag<{ a: number; b: string }>>>();
  const slowly: AsyncIterable<[number, string]> = (async function* () {
    yield [1, "x"];
  })();
  await costly.submit(slowly);
  await costly.submit([
    [1, "x"],
    [2, "y"],
  ]);
  await costly.submit([[1, "x"]] as const);
  // @ts-expect-error a number parameter takes no text
  await costly.submit([["1", "x"]]);
  // @ts-expect-error an argument is missing
  await costly.submit([[1]]);
  // @ts-expect-error the function is to be called, it gives no calls itself
  await costly.submit(cases);
  // @ts-expect-error there is no such option
  await costly.submit(cases(), { chunksize: 3 });

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
