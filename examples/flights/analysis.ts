/**
 * How late do flights leave, by airport? Bootstrap confidence intervals over 20,000 real flights of 2001
 * (from the package vega-datasets), one call an airport.
 *
 *   node examples/flights/analysis.ts [ARCHIVE.db]
 */
import { readFileSync } from "node:fs";
import { task } from "humq";
import { bootstrap } from "./bootstrap.ts";

interface Flight {
  origin: string;
  delay: number;
}

const path = new URL("../data/flights-20k.json", import.meta.resolve("vega-datasets"));
const flights: Flight[] = JSON.parse(readFileSync(path, "utf8"));
const byAirport = Map.groupBy(flights, (flight) => flight.origin);

const RESAMPLES = Number(process.env.RESAMPLES ?? 2000);

// Calling a task runs nothing: it records the arguments. The constant, the helper module and the statistics
// package it uses are found and sent along when it is submitted.
const lateness = task(function lateness(airport: string, delays: Float64Array) {
  console.log(`resampling ${delays.length} flights from ${airport}`);
  return { airport, flights: delays.length, ...bootstrap(delays, RESAMPLES, 2001) };
});

for (const [airport, flown] of byAirport) {
  if (flown.length >= 100)
    lateness(
      airport,
      Float64Array.from(flown, (flight) => flight.delay),
    );
}

const tag = await lateness.submit();
console.log(`submitted ${tag.length} calls as ${tag.name}`);
await tag.pull({ blocking: true });

const rows = [];
for await (const result of tag.results()) if (result !== null) rows.push(result);
rows.sort((a, b) => b.mean - a.mean);
console.table(
  rows.slice(0, 12).map(({ airport, flights, mean, low, high }) => ({
    airport,
    flights,
    "mean delay (min)": mean.toFixed(1),
    "95 % interval": `${low.toFixed(1)} to ${high.toFixed(1)}`,
  })),
);
for await (const { index, error } of tag.errors()) console.error(`call ${index}: ${error.message}`);
const archive = process.argv[2] ?? "flights.db";
tag.toFile(archive, { overwrite: true });
console.log(`${tag.nResults} results, ${tag.nErrors} errors, kept in ${archive}`);
