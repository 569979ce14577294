/**
 * Saved cases: some stored actors of each type as a text, which a repository keeps so that its tests judge
 * each change by them. Pure. It is apart from `stored-parts.ts`, which reads an instance.
 */
import { readBody } from '../../actors/index.ts'
import { plainJson } from '../../bytes/json.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { decodeFromOutside, encodeValue, readEntityRow } from '../../storage/index.ts'
import { runStateOf } from '../judging/stored-run.ts'
import { isOver } from '../runs/record.ts'
import type { StoredFacts, StoredPart } from './stored-parts.ts'

/** Cases as a rehearsal reads them. */
export type SavedCases = {
  /** When the data were so, in ms since 1970. */
  readonly asOf: number
  readonly parts: readonly StoredPart[]
  readonly facts: StoredFacts
}

/** The format of the text. */
const casesFormat = 1

/** So many cases of a type are saved: a kind, a worker, the runs of a workflow, its ended runs. */
const casesMax = 20

/** A longer case is not saved, in bytes: a repository keeps them all. */
const caseBytesMax = 256 * 1024

type Case = { readonly kind: string; readonly id: string; readonly value: string }

/** The cases of one type. */
type OfType = { readonly shapes: Set<string>; readonly distinct: Case[]; readonly others: Case[] }

/** Chooses cases while a rehearsal goes through all actors: of each type the ones that differ most come first. */
export class CaseChoice {
  readonly #types = new Map<string, OfType>()
  /** How many actors were left out because they are too long. */
  #long = 0

  add(part: StoredPart): void {
    const type = typeOf(part)
    const known = this.#types.get(type) ?? { shapes: new Set(), distinct: [], others: [] }
    this.#types.set(type, known)
    const { shapes, distinct, others } = known
    if (distinct.length === casesMax) return
    const shape = shapeOf(part)
    const isNew = !shapes.has(shape)
    if (!isNew && others.length === casesMax) return
    const bytes = Buffer.from(encodeValue(part).bytes)
    if (bytes.length > caseBytesMax) {
      this.#long++
      return
    }
    shapes.add(shape)
    const { kind, id } = part
    const list = isNew ? distinct : others
    list.push({ kind, id, value: bytes.toString('base64') })
  }

  /** How many cases the text has, and how many actors were too long for it. */
  get counts(): { readonly cases: number; readonly long: number } {
    return { cases: this.#cases().length, long: this.#long }
  }

  /** The cases as a text, one line each. */
  text(asOf: number, facts: StoredFacts): string {
    const head = plainJson({ format: casesFormat, asOf, facts: { ...facts, left: 0 } })
    const cases = this.#cases().map((each) => plainJson(each))
    return `${head.slice(0, -1)},"cases":[\n${cases.join(',\n')}\n]}\n`
  }

  #cases(): readonly Case[] {
    return [...this.#types]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .flatMap(([, { distinct, others }]) => [...distinct, ...others].slice(0, casesMax))
  }
}

const typeOf = (part: StoredPart): string => {
  const { kind, id } = part
  if (kind === '$worker') return `${kind}/${id}`
  const state = part.run && runStateOf(part)
  return state && isOver(state.status) ? `${kind} ended` : kind
}

/** Actors with the same shape exercise the same code of a build: one of them is enough. */
const shapeOf = (part: StoredPart): string => {
  const { run, main, alarms } = part
  const names = alarms.map(([name]) => name)
  if (run && 'record' in run) {
    const { status, version, waitsFor } = run.state
    const waits = [waitsFor?.kind, waitsFor?.name]
    const keys = run.record.map(({ kind, key }) => `${kind} ${key}`)
    return plainJson([status, version, waits, names, keys])
  }
  const { version, shape, steps } = readBody(readEntityRow(main).body)
  return plainJson([version, shape, names, steps.map(({ name }) => name)])
}

/** Reads the text. `file` names it in refusals. @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION` */
export const readCases = (text: string, file: string): SavedCases => {
  const { format, asOf, facts, cases } = Object(parsed(text))
  if (Number.isSafeInteger(format) && format > casesFormat)
    throw new KeelsonError('UNSUPPORTED_VERSION', `${file} was written by a newer version`, {
      details: { file, format, supported: casesFormat },
    })
  const lists = ['kinds', 'workers', 'ended'].map((name) => Object(facts)[name])
  if (format !== casesFormat || ![cases, ...lists].every((list) => Array.isArray(list)))
    throw damaged(file, 'it has no cases')
  return { asOf, facts, parts: cases.map((each: Case) => partIn(each, file)) }
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const partIn = (given: Case, file: string): StoredPart => {
  const { kind, id, value } = Object(given)
  try {
    const part = Object(decodeFromOutside(Buffer.from(value, 'base64'))) as StoredPart
    if (part.kind === kind && part.id === id && part.main.value.bytes.length > 0) return part
  } catch (error) {
    if (!isKeelsonError(error) && !(error instanceof TypeError)) throw error
  }
  throw damaged(file, `the case ${kind}/${id} cannot be read`)
}

const damaged = (file: string, evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', `${file} is damaged: ${evidence}`, { details: { file, evidence } })
