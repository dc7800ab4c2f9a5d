import type { AnyNode, Identifier, Pattern, Program, VariableDeclaration } from "acorn";
import { exportedNames, importedNames } from "./declarations.ts";
import { LOADERS, loadedBy, moduleWrapper, patternKeys, plainString } from "./loaders.ts";
import { boundNames, children, hasUseStrict } from "./patterns.ts";
import type {
  Analysis,
  ContextUse,
  DynamicImport,
  ExportSource,
  FunctionSyntax,
  ImportMeta,
  ImportSource,
  PrivateUse,
  Reference,
} from "./scope.ts";
import { ScopeNode } from "./scope.ts";

type AnyFunction = AnyNode & { type: "FunctionDeclaration" | "FunctionExpression" | "ArrowFunctionExpression" };
type AnyClass = AnyNode & { type: "ClassDeclaration" | "ClassExpression" };

/** Where the visitor stands. */
interface Place {
  readonly scope: ScopeNode;
  readonly fn: FunctionSyntax | null;
  /** What `this` belongs to here. */
  readonly owner: AnyNode;
  readonly inLoop: boolean;
  readonly classes: ClassPlace | null;
}

interface ClassPlace {
  readonly node: AnyClass;
  readonly privates: ReadonlySet<string>;
  readonly outer: ClassPlace | null;
}

/** Resolves every name of a script to the scope that declares it. */
export function analyse(program: Program, isModule: boolean): Analysis {
  return new Analyser(program, isModule).run();
}

class Analyser {
  private readonly functions: FunctionSyntax[] = [];
  private readonly references: Reference[] = [];
  private readonly contextUses: ContextUse[] = [];
  private readonly imports: DynamicImport[] = [];
  private readonly metas: ImportMeta[] = [];
  private readonly privates: PrivateUse[] = [];
  private readonly evals: number[] = [];
  private readonly exports = new Map<string, ExportSource>();
  private readonly exportAll: string[] = [];
  /** Members taken out of the value of the expression that begins at an offset. */
  private readonly taken = new Map<number, readonly string[]>();
  private readonly root: ScopeNode;
  private readonly program: Program;
  /** Function whose body is the whole script: a module wrapper, run once. */
  private readonly wrapper: AnyNode | null;

  constructor(program: Program, isModule: boolean) {
    this.program = program;
    this.wrapper = moduleWrapper(program);
    const strict = isModule || hasUseStrict(program.body);
    this.root = new ScopeNode(program, null, { holdsVars: true, single: true, strict });
  }

  run(): Analysis {
    const place: Place = { scope: this.root, fn: null, owner: this.program, inLoop: false, classes: null };
    for (const statement of this.program.body) this.visit(statement, place);
    this.references.sort((a, b) => a.start - b.start);
    for (const reference of this.references) {
      reference.binding = reference.scope.resolve(reference.name);
      if (reference.write) reference.binding?.writes.push(reference.start);
    }
    const { root, functions, references, contextUses, imports, metas, privates, evals, exports, exportAll } = this;
    return { root, functions, references, contextUses, imports, metas, privates, evals, exports, exportAll };
  }

  private visit(node: AnyNode, place: Place, holder: AnyNode | null = null): void {
    switch (node.type) {
      case "Identifier":
        this.refer(node, place);
        return;
      case "FunctionDeclaration":
        if (node.id) this.declareFunction(node.id.name, place.scope);
        this.visitFunction(node, place, holder);
        return;
      case "FunctionExpression":
      case "ArrowFunctionExpression":
        this.visitFunction(node, place, holder);
        return;
      case "ClassDeclaration":
      case "ClassExpression":
        if (node.type === "ClassDeclaration" && node.id) place.scope.declare(node.id.name, "class");
        this.visitClass(node, place, holder);
        return;
      case "BlockStatement":
      case "SwitchStatement":
        this.visitBlock(node, place);
        return;
      case "ForStatement":
      case "ForInStatement":
      case "ForOfStatement": {
        const inside = this.block(node, { ...place, inLoop: true });
        if (node.type !== "ForStatement" && node.left.type !== "VariableDeclaration") this.assign(node.left, inside);
        else if (node.type !== "ForStatement") this.visit(node.left, inside);
        for (const child of children(node))
          if (node.type === "ForStatement" || child !== node.left) this.visit(child, inside);
        return;
      }
      case "WhileStatement":
      case "DoWhileStatement":
        for (const child of children(node)) this.visit(child, { ...place, inLoop: true });
        return;
      case "CatchClause": {
        const inside = this.block(node, place);
        if (node.param) this.declarePattern(node.param, "param", inside);
        this.visit(node.body, inside);
        return;
      }
      case "VariableDeclaration":
        this.visitDeclaration(node, place);
        return;
      case "AssignmentExpression":
        this.assign(node.left, place);
        if (node.operator !== "=" && node.left.type === "Identifier") this.refer(node.left, place);
        this.visit(node.right, place);
        return;
      case "UpdateExpression":
        if (node.argument.type === "Identifier") this.refer(node.argument, place, { write: true });
        else this.visit(node.argument, place);
        return;
      case "MemberExpression":
        this.visitMember(node, place);
        return;
      case "CallExpression":
      case "TaggedTemplateExpression":
        this.visitCall(node, place);
        return;
      case "ImportExpression":
        this.imports.push({
          kind: "import",
          start: node.start,
          end: node.end,
          specifier: plainString(node.source),
          members: this.taken.get(node.start) ?? null,
        });
        for (const child of children(node)) this.visit(child, place);
        return;
      case "MetaProperty":
        if (node.meta.name === "import") this.metas.push({ start: node.start, end: node.end, property: null });
        else this.contextUses.push({ kind: "new.target", start: node.start, owner: place.owner });
        return;
      case "ThisExpression":
        this.contextUses.push({ kind: "this", start: node.start, owner: place.owner });
        return;
      case "Super":
        this.contextUses.push({ kind: "super", start: node.start, owner: place.owner });
        return;
      case "PrivateIdentifier":
        this.privates.push({ name: node.name, start: node.start, owner: declaringClass(node.name, place.classes) });
        return;
      case "Property":
        this.visitProperty(node, place);
        return;
      case "LabeledStatement":
        this.visit(node.body, place);
        return;
      case "BreakStatement":
      case "ContinueStatement":
        return;
      case "ImportDeclaration":
        for (const { local, from } of importedNames(node)) this.root.declare(local, "import", { from });
        return;
      case "ExportAllDeclaration":
      case "ExportNamedDeclaration":
      case "ExportDefaultDeclaration":
        for (const [name, source] of exportedNames(node)) {
          if (name === "*") this.exportAll.push((source as ImportSource).specifier);
          else this.exports.set(name, source);
        }
        if (node.type === "ExportNamedDeclaration" && node.declaration) this.visit(node.declaration, place);
        if (node.type === "ExportDefaultDeclaration") this.visit(node.declaration, place, node);
        return;
      default:
        for (const child of children(node)) this.visit(child, place);
    }
  }

  private refer(node: Identifier, place: Place, how: Partial<Reference> = {}): void {
    this.references.push({
      name: node.name,
      start: node.start,
      end: node.end,
      scope: place.scope,
      write: false,
      shorthand: false,
      called: false,
      binding: null,
      ...how,
    });
  }

  /** The left side of an assignment, or of a `for (x of ...)` without declaration. */
  private assign(target: Pattern | AnyNode, place: Place, shorthand = false): void {
    switch (target.type) {
      case "Identifier":
        this.refer(target, place, { write: true, shorthand });
        return;
      case "ObjectPattern":
        for (const property of target.properties) {
          if (property.type === "RestElement") this.assign(property.argument, place);
          else {
            if (property.computed) this.visit(property.key, place);
            this.assign(property.value, place, property.shorthand);
          }
        }
        return;
      case "ArrayPattern":
        for (const element of target.elements) if (element) this.assign(element, place);
        return;
      case "RestElement":
        this.assign(target.argument, place);
        return;
      case "AssignmentPattern":
        this.assign(target.left, place, shorthand);
        this.visit(target.right, place);
        return;
      default:
        this.visit(target, place);
    }
  }

  /** A declared pattern: binds its names, and visits defaults and computed keys. */
  private declarePattern(
    pattern: Pattern,
    kind: "var" | "let" | "const" | "param",
    place: Place,
    init?: AnyNode | null,
  ): void {
    let scope = place.scope;
    if (kind === "var") while (!scope.holdsVars && scope.parent) scope = scope.parent;
    for (const name of boundNames(pattern))
      scope.declare(name, kind, pattern.type === "Identifier" && init ? { init } : {});
    this.visitPatternExpressions(pattern, place);
  }

  private visitPatternExpressions(pattern: Pattern, place: Place): void {
    switch (pattern.type) {
      case "ObjectPattern":
        for (const property of pattern.properties) {
          if (property.type === "RestElement") this.visitPatternExpressions(property.argument, place);
          else {
            if (property.computed) this.visit(property.key, place);
            this.visitPatternExpressions(property.value, place);
          }
        }
        return;
      case "ArrayPattern":
        for (const element of pattern.elements) if (element) this.visitPatternExpressions(element, place);
        return;
      case "RestElement":
        this.visitPatternExpressions(pattern.argument, place);
        return;
      case "AssignmentPattern":
        this.visitPatternExpressions(pattern.left, place);
        this.visit(pattern.right, place);
        return;
      default:
        return;
    }
  }

  private visitDeclaration(node: VariableDeclaration, place: Place): void {
    const kind = node.kind === "var" || node.kind === "let" ? node.kind : "const";
    for (const declarator of node.declarations) {
      this.declarePattern(declarator.id, kind, place, declarator.init ?? null);
      const names = patternKeys(declarator.id);
      if (declarator.init && names) this.taken.set(loadedBy(declarator.init).start, names);
      if (declarator.init) this.visit(declarator.init, place);
    }
  }

  private declareFunction(name: string, scope: ScopeNode): void {
    scope.declare(name, "function");
    // Sloppy mode also binds a block's function in the function around it (Annex B.3.2).
    if (scope.strict || scope.holdsVars) return;
    let outer: ScopeNode | null = scope.parent;
    while (outer && !outer.holdsVars) outer = outer.parent;
    outer?.declare(name, "var");
  }

  private visitFunction(node: AnyFunction, place: Place, holder: AnyNode | null): void {
    const arrow = node.type === "ArrowFunctionExpression";
    const strict = place.scope.strict || (node.body.type === "BlockStatement" && hasUseStrict(node.body.body));
    const memberOf = holder && isClassMember(holder) && place.fn?.node === place.classes?.node ? place.fn : null;
    const fn: FunctionSyntax = { node, parent: place.fn, holder, memberOf, scope: place.scope, strict };
    this.functions.push(fn);
    let outer = place.scope;
    if (node.type === "FunctionExpression" && node.id) {
      outer = new ScopeNode(node, outer, { single: false, strict });
      outer.declare(node.id.name, "function");
    }
    const single = node === this.wrapper;
    const scope = new ScopeNode(node, outer, { bindsArguments: !arrow, holdsVars: true, single, strict });
    const inside: Place = { ...place, scope, fn, owner: arrow ? place.owner : node, inLoop: false };
    for (const param of node.params) this.declarePattern(param, "param", inside);
    if (node.body.type === "BlockStatement") for (const statement of node.body.body) this.visit(statement, inside);
    else this.visit(node.body, inside);
  }

  private visitClass(node: AnyClass, place: Place, holder: AnyNode | null): void {
    const fn: FunctionSyntax = { node, parent: place.fn, holder, memberOf: null, scope: place.scope, strict: true };
    this.functions.push(fn);
    const scope = new ScopeNode(node, place.scope, { single: place.scope.single && !place.inLoop, strict: true });
    if (node.id) scope.declare(node.id.name, "class");
    const privates = new Set<string>();
    for (const member of node.body.body)
      if (member.type !== "StaticBlock" && member.key.type === "PrivateIdentifier") privates.add(member.key.name);
    const inside: Place = { ...place, scope, fn, classes: { node, privates, outer: place.classes } };
    if (node.superClass) this.visit(node.superClass, { ...place, scope });
    for (const member of node.body.body) {
      if (member.type === "StaticBlock") {
        const block = new ScopeNode(member, scope, { holdsVars: true, single: scope.single, strict: true });
        for (const statement of member.body) this.visit(statement, { ...inside, scope: block, owner: member });
        continue;
      }
      if (member.computed) this.visit(member.key, { ...inside, owner: place.owner });
      if (!member.value) continue;
      if (member.type === "MethodDefinition") this.visit(member.value, inside, member);
      else this.visit(member.value, { ...inside, owner: member, inLoop: true }, member);
    }
  }

  private block(node: AnyNode, place: Place): Place {
    const single = place.scope.single && !place.inLoop;
    return { ...place, scope: new ScopeNode(node, place.scope, { single, strict: place.scope.strict }) };
  }

  private visitBlock(node: AnyNode, place: Place): void {
    const inside = this.block(node, place);
    for (const child of children(node)) this.visit(child, inside);
  }

  private visitMember(node: AnyNode & { type: "MemberExpression" }, place: Place): void {
    const plain = !node.computed && node.property.type === "Identifier" ? node.property.name : null;
    const loaded = loadedBy(node.object as AnyNode);
    if (plain !== null && (loaded !== node.object || loaded.type === "CallExpression"))
      this.taken.set(loaded.start, [plain]);
    if (plain !== null && node.object.type === "Identifier") this.refer(node.object, place, { member: plain });
    else if (plain !== null && node.object.type === "MetaProperty" && node.object.meta.name === "import")
      this.metas.push({ start: node.start, end: node.end, property: plain });
    else this.visit(node.object, place);
    if (node.computed || node.property.type === "PrivateIdentifier") this.visit(node.property, place);
  }

  private visitCall(node: AnyNode & { type: "CallExpression" | "TaggedTemplateExpression" }, place: Place): void {
    const callee = node.type === "CallExpression" ? node.callee : node.tag;
    if (callee.type === "Identifier") {
      this.refer(callee, place, { called: true });
      if (node.type === "CallExpression") {
        if (callee.name === "eval") this.evals.push(node.start);
        const kind = LOADERS[callee.name];
        const argument = node.arguments[0];
        if (kind && argument)
          this.imports.push({
            kind,
            start: node.start,
            end: node.end,
            specifier: plainString(argument),
            members: this.taken.get(node.start) ?? null,
            callee: this.references.at(-1)!,
          });
      }
    }
    for (const child of children(node)) if (child !== callee || child.type !== "Identifier") this.visit(child, place);
  }

  private visitProperty(node: AnyNode & { type: "Property" }, place: Place): void {
    if (node.shorthand && node.value.type === "Identifier") {
      this.refer(node.value, place, { shorthand: true });
      return;
    }
    if (node.computed) this.visit(node.key, place);
    this.visit(node.value, place, node);
  }
}

function declaringClass(name: string, classes: ClassPlace | null): AnyNode | null {
  for (let place = classes; place; place = place.outer) if (place.privates.has(name)) return place.node;
  return null;
}

function isClassMember(node: AnyNode): boolean {
  return node.type === "MethodDefinition" || node.type === "PropertyDefinition";
}
