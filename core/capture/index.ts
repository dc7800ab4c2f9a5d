export { type Captured, type CaptureOptions, capture } from "./capture.ts";
export { type LoadedTask, type LoadOptions, loadCode } from "./load.ts";
