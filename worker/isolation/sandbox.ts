/** The bubblewrap command line. */
import { lstatSync, readlinkSync } from "node:fs";
import { sealDevices } from "./devices.ts";
import { codeMounts, type Mount, nodeMounts, SANDBOX_WORK } from "./layout.ts";

export interface SandboxOptions {
  /** The one folder that can be written to; also /tmp and /dev/shm. */
  workDir: string;
  /** `none`: not even loopback to the outside, only a loopback of its own. Default `host`. */
  network?: "host" | "none";
  /** Further folders to show, read-only; one that does not exist is left out. */
  readOnly?: readonly Mount[];
  /** Further folders that can be written to. */
  writable?: readonly Mount[];
  /** Where bubblewrap reports the sandbox's process id, a descriptor it inherits. */
  infoFd?: number;
}

/** System folders that programs need. Links (`/bin -> usr/bin`) stay links. */
const SYSTEM = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];
/** What names, certificates and clocks need; nothing with secrets (not /etc/ssl/private). */
const SYSTEM_FILES = [
  "/etc/alternatives",
  "/etc/ca-certificates",
  "/etc/ca-certificates.conf",
  "/etc/group",
  "/etc/hosts",
  "/etc/ld.so.cache",
  "/etc/localtime",
  "/etc/nsswitch.conf",
  "/etc/passwd",
  "/etc/pki/ca-trust",
  "/etc/pki/tls/certs",
  "/etc/resolv.conf",
  "/etc/ssl/certs",
  "/etc/ssl/openssl.cnf",
  "/sys/devices/system/cpu",
];

function systemArguments(): string[] {
  const found = SYSTEM.flatMap((path) => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    return stat.isSymbolicLink() ? ["--symlink", readlinkSync(path), path] : ["--ro-bind", path, path];
  });
  return [...found, ...SYSTEM_FILES.flatMap((path) => ["--ro-bind-try", path, path])];
}

/**
 * A command that runs a program in the sandbox: put the program and its arguments behind `args`.
 *
 * New namespaces for everything (user where it is needed), no capabilities, no way to gain any, a /proc that shows
 * only the sandbox, and the death of the whole sandbox when the worker dies. The environment is the one given to
 * the command.
 * @returns `nodePath` and `codeRoot`: node and this package's code as the program sees them
 */
export function sandboxed(options: SandboxOptions): {
  command: string;
  args: string[];
  nodePath: string;
  codeRoot: string;
} {
  const node = nodeMounts();
  const code = codeMounts();
  const readOnly = [...node.mounts, ...code.mounts, ...(options.readOnly ?? [])];
  const devices = sealDevices();
  const args = [
    ...["--unshare-all", "--new-session", "--die-with-parent", "--cap-drop", "ALL", ...devices.capabilities],
    ...(options.network === "none" ? [] : ["--share-net"]),
    ...systemArguments(),
    ...["--proc", "/proc", "--dev", "/dev"],
    ...readOnly.flatMap(({ from, to }) => ["--ro-bind-try", from, to]),
    ...[
      "--bind",
      options.workDir,
      SANDBOX_WORK,
      "--symlink",
      SANDBOX_WORK,
      "/tmp",
      "--bind",
      options.workDir,
      "/dev/shm",
    ],
    ...(options.writable ?? []).flatMap(({ from, to }) => ["--bind", from, to]),
    // A worker that is root stays root for files of the kernel, which ask for no capability: /proc/sys/kernel/core_pattern
    // names a program that is run as root outside of every sandbox.
    ...["--remount-ro", "/proc"],
    // What is left of / and /dev would be writable for the executor's whole life: calls must find it as it was.
    ...["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", SANDBOX_WORK],
    ...(options.infoFd === undefined ? [] : ["--info-fd", String(options.infoFd)]),
    "--",
    ...devices.program,
  ];
  return { command: "bwrap", args, nodePath: node.nodePath, codeRoot: code.root };
}
