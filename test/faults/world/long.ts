/** The short form of a fault takes seconds, for every change; `HUMQ_FAULTS_LONG=1` takes the time that faults last in earnest. */
export function seconds(short: number, long: number): number {
  return 1000 * (process.env.HUMQ_FAULTS_LONG === "1" ? long : short);
}
