/**
 * Evaluates a line of JavaScript at the prompt. It runs in the process's own realm, so that values
 * have the same classes as in the program, and its result is awaited. Declarations persist, and
 * `await` is allowed in an expression.
 *
 * `node:repl` is not used. Its evaluator runs every line in a domain, and the first domain of a
 * process makes every promise several times slower. With piped input it also starts the next line
 * before an `await` has settled.
 */

import vm from 'node:vm'
import { noOptions, ownOf } from '../../own-names.ts'
import { readError } from '../../thrown.ts'

/** The result of a piece of source. `unfinished`: a further line may complete it. */
export type Evaluation =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'unfinished' }
  | { readonly kind: 'error'; readonly error: unknown }

/** Runs code up to its first `await`. */
export type Run = (code: () => unknown) => unknown

const runHere: Run = (code) => code()

/**
 * The same, but SIGINT ends it with an error. The process's listeners do not get the signal then.
 * Only for a terminal that turns Ctrl-C into a signal.
 */
export const runBreakable: Run = (code) => {
  Object.defineProperty(globalThis, slot, { value: code, configurable: true })
  try {
    return slotScript.runInThisContext({ displayErrors: false, breakOnSigint: true })
  } finally {
    Reflect.deleteProperty(globalThis, slot)
  }
}

/** Holds the code that the script calls. A registered symbol takes no name. */
const slot = Symbol.for('keelson.line')
const slotScript = new vm.Script("globalThis[Symbol.for('keelson.line')]()")

/**
 * Runs source in the scope of the lines before. `keep` gets the same function for the scope that
 * this source makes. The source may read `awaited` as `arguments[2]`.
 */
type Execute = (source: string, keep: (next: Execute) => void, awaited: unknown) => unknown

// A direct eval sees the scope around it, so a function that is made inside of one has the scope of
// that line. Declarations are kept by such functions, and not by the process: they are of one
// session, may be declared again, and are freed with it.
const executeSource = 'function () { return eval(arguments[0]) }'
const outermost = new vm.Script(`(function () { with (arguments[0]) return ${executeSource} })`, {
  filename: 'keelson',
  importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
})

/** The scope of a session: its words, what its lines have declared, and the last value as `_`. */
export class LineScope {
  readonly #words: Record<string, unknown>
  #execute: Execute

  constructor(words: Readonly<Record<string, unknown>> = noOptions) {
    this.#words = Object.assign(Object.create(null), words, { _: undefined })
    this.#execute = outermost.runInThisContext()(this.#words)
  }

  /** Runs a piece of source, each part by `run`, and awaits its value. Never rejects. */
  async evaluate(source: string, run: Run = runHere): Promise<Evaluation> {
    if (isBlank(source)) return { kind: 'nothing' }
    try {
      const program = programOf(source)
      if (program) {
        const runs: Runs = (part, awaited) => run(() => this.#executed(part, awaited))
        const value = await program(runs)
        this.#words._ = value
        return { kind: 'value', value }
      }
      if (isUnfinished(source)) return { kind: 'unfinished' }
      throw errorIn(awaits(source) ? inFunction(source) : source)
    } catch (error) {
      return { kind: 'error', error }
    }
  }

  /**
   * The value of a name that a line may use, or of a field below it, for completion. No getter of
   * an object runs.
   */
  valueAt([name = '', ...fields]: readonly string[]): unknown {
    try {
      return fields.reduce(
        fieldOf,
        this.#execute(name, () => undefined, undefined),
      )
    } catch {
      // It is not declared.
      return undefined
    }
  }

  #executed(source: string, awaited: unknown): unknown {
    const execute = this.#execute
    const keep = (next: Execute): void => {
      this.#execute = next
    }
    const kept = declares.test(source) ? `arguments[1](${executeSource});` : ''
    return execute(`${kept}${source}\n//# sourceURL=keelson`, keep, awaited)
  }
}

const fieldOf = (value: unknown, field: string): unknown => {
  for (
    let holder: unknown = value === undefined || value === null ? null : Object(value);
    holder;
    holder = Object.getPrototypeOf(holder)
  ) {
    const found = Object.getOwnPropertyDescriptor(holder, field)
    if (found) return found.value
  }
  return undefined
}

/** Only a source that may declare something needs its own scope. */
const declares = /\b(?:var|let|const|class|function)\b/

/** Whether the source has the word `await`; it is then compiled in an async function. */
const awaits = (source: string): boolean => /\bawait\b/.test(source)

/** Runs a part of a line. */
type Runs = (source: string, awaited?: unknown) => unknown

/** A piece of source, ready to run. */
type Program = (run: Runs) => unknown

/** The first interpretation of the source that compiles; `undefined` when none does. */
const programOf = (source: string): Program | undefined => {
  if (imports.test(source)) return importOf(source)
  // A line that begins with a brace is an object, unless it compiles only as a block.
  const object = /^\s*\{/.test(source) && !/;\s*$/.test(source)
  if (!awaits(source)) return (object ? scriptOf(`(${source}\n)`) : undefined) ?? scriptOf(source)
  const block = asyncOf(source)
  return block && (expressionOf(source) ?? declarationOf(source) ?? sequenceOf(source) ?? block)
}

/** The interpretation of one statement. */
const statementOf = (source: string): Program | undefined =>
  awaits(source)
    ? (expressionOf(source) ?? declarationOf(source) ?? asyncOf(source))
    : scriptOf(source)

const scriptOf = (source: string): Program | undefined =>
  errorIn(source) ? undefined : (run) => run(source)

/** An expression with `await` in it. */
const expressionOf = (source: string): Program | undefined =>
  asyncOf(`return (\n${source.replace(/;\s*$/, '')}\n)`)

/** Statements in an async function: their declarations are local to them. */
const asyncOf = (body: string): Program | undefined => scriptOf(`${inFunction(body)}()`)

/** `const { a, b } = await …`: the value is awaited, then declared for later lines. */
const declarationOf = (source: string): Program | undefined => {
  const [, keyword, rest] = /^\s*(const|let|var)\b([\s\S]*)$/.exec(source) ?? []
  if (keyword === undefined || rest === undefined) return undefined
  for (let at = rest.indexOf('='); at >= 0; at = rest.indexOf('=', at + 1)) {
    const value = expressionOf(rest.slice(at + 1))
    const declare = `${keyword} ${rest.slice(0, at)} = arguments[2]`
    if (value && !errorIn(declare)) return async (run) => void run(declare, await value(run))
  }
  return undefined
}

/**
 * Separate statements, split where both sides compile: each keeps its declarations. Only for a
 * source that compiles as a block: then the first split that works is right, and no other need be
 * tried.
 */
const sequenceOf = (source: string): Program | undefined => {
  for (let at = source.indexOf(';'); at >= 0; at = source.indexOf(';', at + 1)) {
    const [head, tail] = [source.slice(0, at), source.slice(at + 1)]
    if (isBlank(head) || isBlank(tail)) continue
    const first = statementOf(head)
    const second = first && programOf(tail)
    if (first && second) return (run) => inOrder(first, second, run)
  }
  return undefined
}

/** A static import, which only a module may have; not `import()` and not `import.meta`. */
const imports = /^\s*import\b(?!\s*[(.])/

/** `import first, { second as other } from 'module' with { type: 'json' }`, and what follows it. */
const importParts =
  /^\s*import\s*(?:([\w$]+)\s*,?\s*)?(?:\*\s*as\s+([\w$]+)\s*|\{([^}]*)\}\s*)?(from\s*)?('[^'\n]*'|"[^"\n]*")(?:\s*with\s*(\{[^}]*\}))?[^\S\n]*(?:;|\n|$)/

/** A static import as the program of `import()`: what it names is declared for later lines. */
const importOf = (source: string): Program | undefined => {
  const [whole = '', first, all, some, from, specifier, attributes] = importParts.exec(source) ?? []
  const isNamed = first !== undefined || all !== undefined || some !== undefined
  if (specifier === undefined || isNamed !== (from !== undefined)) return undefined
  const named = (some ?? '').split(',').flatMap((each) => {
    const [name = '', local = name] = each.trim().split(/\s+as\s+/)
    return name === '' ? [] : [[name, local] as const]
  })
  const taken = first === undefined ? named : [['default', first] as const, ...named]
  const declared = [
    ...(taken.length > 0
      ? [`{ ${taken.map(([name, local]) => `${name}: ${local}`).join(', ')} } = arguments[2]`]
      : []),
    ...(all === undefined ? [] : [`${all} = arguments[2]`]),
  ].join(', ')
  const load = `import(${specifier}${attributes === undefined ? '' : `, { with: ${attributes} }`})`
  const declare = declared === '' ? undefined : `const ${declared}`
  if (errorIn(load) || (declare !== undefined && errorIn(declare))) return undefined
  const loaded: Program = async (run) => {
    const module = (await run(load)) as object
    for (const [name] of taken) if (!(name in module)) throw noExport(specifier, name)
    if (declare !== undefined) run(declare, module)
  }
  const rest = source.slice(whole.length)
  if (isBlank(rest)) return loaded
  const next = programOf(rest)
  return next && ((run) => inOrder(loaded, next, run))
}

const noExport = (specifier: string, name: string): SyntaxError =>
  new SyntaxError(`the module ${specifier} has no export named '${name}'`)

const inOrder = async (first: Program, second: Program, run: Runs): Promise<unknown> => {
  await first(run)
  return second(run)
}

const inFunction = (body: string): string => `(async () => {\n${body}\n})`

/** Only spaces and comments. */
const isBlank = (source: string): boolean =>
  source.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '').trim() === ''

/** V8's messages for an unclosed construct. */
const closers: Readonly<Record<string, string>> = {
  'missing ) after argument list': ')',
  'Invalid or unexpected token': '*/',
  'Missing } in template expression': '}',
}

/** The most open parentheses. */
const depthMax = 32

/** Whether the source is only incomplete: its error is then after its last line. */
const isUnfinished = (source: string): boolean => {
  // A static import is no script, so its errors say nothing.
  if (imports.test(source))
    return /^\s*import\b[\w$\s,*]*(?:\{[^}'"]*)?(?:\}\s*(?:from\s*)?)?$/.test(source)
  let rest = awaits(source) ? `async () => {\n${source}` : source
  for (let depth = 0; depth < depthMax; depth++) {
    const error = errorIn(rest)
    if (!error) return depth > 0
    if (lineOf(error) > rest.split('\n').length) return true
    const closer = ownOf(closers, readError(error).message)
    if (closer === undefined) return false
    rest += `\n${closer}`
  }
  return false
}

/** The fault of the source, found before anything of it runs. */
const errorIn = (source: string): SyntaxError | undefined => {
  try {
    new vm.Script(`${source}\n`, { filename: 'keelson' })
    return undefined
  } catch (error) {
    return error as SyntaxError
  }
}

const lineOf = (error: SyntaxError): number =>
  Number(/^keelson:(\d+)/.exec(readError(error).stack ?? '')?.[1] ?? 0)
