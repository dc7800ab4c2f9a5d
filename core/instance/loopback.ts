/** Whether a host, as it stands in an address or alone, is this machine and nothing else. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d+){3}|::1|\[::1\])$/i.test(host);
}
