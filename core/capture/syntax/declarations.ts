import type {
  AnyNode,
  ExportAllDeclaration,
  ExportDefaultDeclaration,
  ExportNamedDeclaration,
  ImportDeclaration,
} from "acorn";
import { boundNames } from "./patterns.ts";
import type { ExportSource, ImportSource } from "./scope.ts";

/** The names an import declaration binds. */
export function importedNames(node: ImportDeclaration): { local: string; from: ImportSource }[] {
  const specifier = String(node.source.value);
  return node.specifiers.map((each) => {
    const imported =
      each.type === "ImportDefaultSpecifier"
        ? "default"
        : each.type === "ImportNamespaceSpecifier"
          ? "*"
          : exportName(each.imported);
    return { local: each.local.name, from: { specifier, imported } };
  });
}

/** The names a declaration exports, and where their values are; `*` for all names of another module. */
export function exportedNames(
  node: ExportAllDeclaration | ExportNamedDeclaration | ExportDefaultDeclaration,
): [name: string, source: ExportSource][] {
  const specifier = "source" in node && node.source ? String(node.source.value) : null;
  switch (node.type) {
    case "ExportAllDeclaration":
      return [[node.exported ? exportName(node.exported) : "*", { specifier: specifier!, imported: "*" }]];
    case "ExportDefaultDeclaration": {
      const { declaration } = node;
      if (declaration.type === "Identifier") return [["default", { local: declaration.name }]];
      const isNamed = declaration.type.endsWith("Declaration") && "id" in declaration && declaration.id;
      return isNamed ? [["default", { local: isNamed.name }]] : [];
    }
    case "ExportNamedDeclaration": {
      const listed = node.specifiers.map((each): [string, ExportSource] => {
        const local = exportName(each.local);
        return [exportName(each.exported), specifier === null ? { local } : { specifier, imported: local }];
      });
      const declared = node.declaration ? [...declaredNames(node.declaration)] : [];
      return [...listed, ...declared.map((local): [string, ExportSource] => [local, { local }])];
    }
  }
}

function exportName(node: { type: string; name?: string; value?: unknown }): string {
  return node.name ?? String(node.value);
}

function* declaredNames(node: AnyNode): Generator<string> {
  if (node.type === "VariableDeclaration") for (const declarator of node.declarations) yield* boundNames(declarator.id);
  else if ("id" in node && node.id?.type === "Identifier") yield node.id.name;
}
