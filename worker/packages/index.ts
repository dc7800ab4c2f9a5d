export { packagesFolder } from "./folders.ts";
export { installPackages, type PackageOptions } from "./install.ts";
export { findNpm, PackageInstallError } from "./npm.ts";
