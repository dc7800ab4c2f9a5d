/** What of the worker's environment user code gets to see: nothing that could be a secret. */
const PASSED = [
  "LANG",
  "LC_ALL",
  "LC_CTYPE",
  "TZ",
  "NODE_ENV",
  "OMP_NUM_THREADS",
  "OPENBLAS_NUM_THREADS",
  "MKL_NUM_THREADS",
  "UV_THREADPOOL_SIZE",
  "CUDA_VISIBLE_DEVICES",
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
];

/** Where programs are looked for in the sandbox, and without one where the worker has no PATH. */
export const STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * @param home the folder that HOME and TMPDIR name, as user code sees it
 * @param path default: the worker's own
 */
export function cleanEnvironment(home: string, path = process.env.PATH ?? STANDARD_PATH): Record<string, string> {
  const environment: Record<string, string> = { PATH: path };
  for (const name of PASSED) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return { ...environment, HOME: home, TMPDIR: home };
}
