/** Loaded into npm before it starts: an installation ends with its worker. */
import { watchLifeline } from "../isolation/lifeline.ts";
import { GUARD_FD } from "./guard-fd.ts";

watchLifeline(GUARD_FD);
