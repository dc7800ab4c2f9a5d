/** Where npm's process finds the worker's end of its lifeline. */
export const GUARD_FD = 3;
