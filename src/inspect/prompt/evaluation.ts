/**
 * What the prompt does with a line of JavaScript: it runs it in the process's own realm, so that values are what the rest of
 * the program takes them for, and awaits the result. Declarations stay, `await` stands where an expression may.
 *
 * Not `node:repl`: its evaluator runs every line in a domain, and the first domain of a process makes every promise in
 * it several times slower; and with piped input it goes on to the next line before an `await` has settled.
 */
import vm from 'node:vm'

/** What became of a piece of source. `unfinished`: it may become whole with a further line. */
export type Evaluation =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'unfinished' }
  | { readonly kind: 'error'; readonly error: unknown }

/** Runs what has been compiled, up to its first `await`. */
export type Run = (script: vm.Script) => unknown

const runHere: Run = (script) => script.runInThisContext({ displayErrors: false })

/**
 * The same, but SIGINT ends it with an error. The listeners of the process do not hear the signal then: only for a terminal,
 * where it means the line, and only where the terminal makes Ctrl-C a signal.
 */
export const runBreakable: Run = (script) =>
  script.runInThisContext({ displayErrors: false, breakOnSigint: true })

/** Runs a piece of source, each part of it by `run`, and awaits what it gives. Never rejects. */
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

/** Whether the word stands in it; then it is read as part of an async function. */
const awaits = (source: string): boolean => /\bawait\b/.test(source)

/** A piece of source, ready to run. */
type Program = (run: Run) => unknown

/** The first reading of the source that is JavaScript; `undefined` when none is. */
const programOf = (source: string): Program | undefined => {
  // A line that begins with a brace is an object, unless it only makes sense as a block.
  const object = /^\s*\{/.test(source) && !/;\s*$/.test(source)
  if (!awaits(source)) return (object ? scriptOf(`(${source}\n)`) : undefined) ?? scriptOf(source)
  const block = blockOf(source)
  return block && (expressionOf(source) ?? declarationOf(source) ?? sequenceOf(source) ?? block)
}

/** The reading of one statement. */
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

/** Statements with `await` in them; what they declare is theirs alone. */
const blockOf = (source: string): Program | undefined => asyncOf(source)

const asyncOf = (body: string): Program | undefined => scriptOf(`${inFunction(body)}()`)

/** `const { a, b } = await …`: the value is awaited, then declared for the lines to come. */
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

/** Where an awaited value waits for its declaration. A registered symbol: nobody's name is taken. */
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
 * Statements one after another, cut where both sides are whole: each keeps what it declares. Only for a source that is
 * whole as a block; then the first cut that works is a border of two statements, and no other need be tried behind it.
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

/** Nothing but spaces and comments. */
const isBlank = (source: string): boolean =>
  source.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '').trim() === ''

/** What V8 says when something was not closed, without saying that the input ended. */
const closers: Readonly<Record<string, string>> = {
  'missing ) after argument list': ')',
  'Invalid or unexpected token': '*/',
  'Missing } in template expression': '}',
}

/** So many parentheses may be open at once. */
const depthMax = 32

/** Whether the source is wrong only because it ends too early: then the error stands behind its last line. */
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
