/**
 * Evaluates a line of JavaScript at the prompt. It runs in the process's own realm, so that values
 * have the same classes as in the program, and its result is awaited. Declarations persist, and
 * `await` may stand in an expression.
 *
 * `node:repl` is not used. Its evaluator runs every line in a domain, and the first domain of a
 * process makes every promise several times slower. With piped input it also starts the next line
 * before an `await` has settled.
 */
import vm from 'node:vm'

/** The result of a piece of source. `unfinished`: a further line may complete it. */
export type Evaluation =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'unfinished' }
  | { readonly kind: 'error'; readonly error: unknown }

/** Runs compiled code up to its first `await`. */
export type Run = (script: vm.Script) => unknown

const runHere: Run = (script) => script.runInThisContext({ displayErrors: false })

/**
 * The same, but SIGINT ends it with an error. The process's listeners do not get the signal then.
 * Only for a terminal that turns Ctrl-C into a signal.
 */
export const runBreakable: Run = (script) =>
  script.runInThisContext({ displayErrors: false, breakOnSigint: true })

/** Runs a piece of source, each part by `run`, and awaits its value. Never rejects. */
export const evaluate = async (source: string, run: Run = runHere): Promise<Evaluation> => {
  if (isBlank(source)) return { kind: 'nothing' }
  try {
    const program = programOf(source)
    if (program) return { kind: 'value', value: await program(run) }
    if (isUnfinished(source)) return { kind: 'unfinished' }
    throw errorIn(awaits(source) ? inFunction(source) : source)
  } catch (error) {
    return { kind: 'error', error }
  }
}

/** Whether the source has the word `await`; it is then compiled in an async function. */
const awaits = (source: string): boolean => /\bawait\b/.test(source)

/** A piece of source, ready to run. */
type Program = (run: Run) => unknown

/** The first interpretation of the source that compiles; `undefined` when none does. */
const programOf = (source: string): Program | undefined => {
  // A line that begins with a brace is an object, unless it compiles only as a block.
  const object = /^\s*\{/.test(source) && !/;\s*$/.test(source)
  if (!awaits(source)) return (object ? scriptOf(`(${source}\n)`) : undefined) ?? scriptOf(source)
  const block = blockOf(source)
  return block && (expressionOf(source) ?? declarationOf(source) ?? sequenceOf(source) ?? block)
}

/** The interpretation of one statement. */
const statementOf = (source: string): Program | undefined =>
  awaits(source)
    ? (expressionOf(source) ?? declarationOf(source) ?? blockOf(source))
    : scriptOf(source)

const scriptOf = (source: string): Program | undefined => {
  const script = compiled(source)
  return script && ((run) => run(script))
}

/** An expression with `await` in it. */
const expressionOf = (source: string): Program | undefined =>
  asyncOf(`return (\n${source.replace(/;\s*$/, '')}\n)`)

/** Statements with `await`; their declarations are local to them. */
const blockOf = (source: string): Program | undefined => asyncOf(source)

const asyncOf = (body: string): Program | undefined => scriptOf(`${inFunction(body)}()`)

/** `const { a, b } = await …`: the value is awaited, then declared for later lines. */
const declarationOf = (source: string): Program | undefined => {
  const [, keyword, rest] = /^\s*(const|let|var)\b([\s\S]*)$/.exec(source) ?? []
  if (keyword === undefined || rest === undefined) return undefined
  for (let at = rest.indexOf('='); at >= 0; at = rest.indexOf('=', at + 1)) {
    const value = expressionOf(rest.slice(at + 1))
    const declare = compiled(`${keyword} ${rest.slice(0, at)} = globalThis[${slotSource}]`)
    if (value && declare) return (run) => declared(value(run), declare)
  }
  return undefined
}

/** Holds an awaited value for its declaration. A registered symbol takes no name. */
const slot = Symbol.for('keelson.awaited')
const slotSource = "Symbol.for('keelson.awaited')"

const declared = async (value: unknown, declare: vm.Script): Promise<void> => {
  Object.defineProperty(globalThis, slot, { value: await value, configurable: true })
  try {
    declare.runInThisContext({ displayErrors: false })
  } finally {
    Reflect.deleteProperty(globalThis, slot)
  }
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

const inOrder = async (first: Program, second: Program, run: Run): Promise<unknown> => {
  await first(run)
  return second(run)
}

const inFunction = (body: string): string => `(async () => {\n${body}\n})`

const compile = (source: string): vm.Script =>
  new vm.Script(`${source}\n`, {
    filename: 'keelson',
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  })

const compiled = (source: string): vm.Script | undefined => {
  try {
    return compile(source)
  } catch {
    return undefined
  }
}

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
  let rest = awaits(source) ? `async () => {\n${source}` : source
  for (let depth = 0; depth < depthMax; depth++) {
    const error = errorIn(rest)
    if (!error) return depth > 0
    if (lineOf(error) > rest.split('\n').length) return true
    const closer = closers[error.message]
    if (closer === undefined) return false
    rest += `\n${closer}`
  }
  return false
}

const errorIn = (source: string): SyntaxError | undefined => {
  try {
    compile(source)
    return undefined
  } catch (error) {
    return error as SyntaxError
  }
}

const lineOf = ({ stack = '' }: SyntaxError): number =>
  Number(/^keelson:(\d+)/.exec(stack)?.[1] ?? 0)
