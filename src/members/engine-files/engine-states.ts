/**
 * The saved states of an application in the files of its engine. The folder of the member is a cache
 * of them. A state is uploaded, read back, and acknowledged only while the log has the epoch of the
 * owner that saves it (invariant M1). So every later owner finds it.
 */

import { crc32 } from '../../bytes/crc32.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  appStatePath,
  attempt,
  type Disk,
  type EngineFiles,
  type EngineLog,
  encodedAppState,
  keepAppStates,
  readWhole,
  refuseOtherEpoch,
  refusing,
  type SnapshotProtocol,
  statesIn,
  statesKept,
} from '../../storage/index.ts'
import type { EngineCalls } from '../engine-log/engine-calls.ts'
import { type EngineState, standing, stateName, statesAmong } from '../engine-log/snapshot-names.ts'

/** The files and the log of a shard, and the folder of its snapshots. */
export type EngineStatesParts = {
  readonly files: EngineFiles
  readonly log: EngineLog
  readonly disk: Disk
  readonly dir: string
  /** The beginning of the names of the shard's files. */
  readonly prefix: string
}

type Save = SnapshotProtocol['saveState']
type Load = SnapshotProtocol['loadState']

/** A file is uploaded in pieces of so many bytes. */
const pieceBytes = 256 * 1024

/** The states of one shard, for one request. */
export class EngineStates {
  readonly #parts: EngineStatesParts
  readonly #calls: EngineCalls

  constructor(parts: EngineStatesParts, calls: EngineCalls) {
    this.#parts = parts
    this.#calls = calls
  }

  /**
   * Saves a state in the engine, then by `saveLocal` in the folder, which so has no state that the
   * engine lacks. Removes the states that two newer ones replace.
   * @throws KeelsonError `FENCED` if the log has another owner; `CORRUPT` if the engine does not
   * give back what it got; what `saveLocal` throws
   */
  async save(
    { state, epoch }: Save['request'],
    saveLocal: () => Promise<unknown>,
  ): Promise<Save['answer']> {
    const saved = await this.#list()
    const bytes = encodedAppState(state)
    const seq = 1 + Math.max(0, ...saved.map((each) => (each.epoch === epoch ? each.seq : 0)))
    const facts = { epoch, seq, lsn: state.lsn, sum: crc32(bytes) }
    const own = { ...facts, name: stateName(facts) }
    await this.#upload(own, bytes)
    await this.#refuseOther(epoch)
    await saveLocal()
    const kept = standing([...saved, own]).slice(0, statesKept)
    const { files, prefix } = this.#parts
    // All of them are of this owner or of earlier ones: the list is older than the look at the log.
    for (const each of saved)
      if (!kept.includes(each)) await this.#calls.ask(() => files.remove(prefix + each.name))
    return { states: kept.map(({ lsn }) => lsn).reverse() }
  }

  /**
   * Brings the folder to what the engine has: the newest two sound states. Returns the damaged ones
   * that are newer. A state that the folder has whole is not read from the engine.
   * @throws KeelsonError `FENCED` if the log has another owner; `CORRUPT` if none is sound
   */
  async fetch({ epoch, copiedLsn }: Load['request']): Promise<Load['answer']['damaged']> {
    const saved = await this.#list()
    // A later owner may have saved one that this list lacks.
    await this.#refuseOther(epoch)
    const sound = new Map<number, Uint8Array>()
    const damaged: string[] = []
    for (const state of standing(saved)) {
      if (sound.size === statesKept) break
      const bytes = this.#cached(state) ?? (await this.#read(state))
      if (bytes) sound.set(state.lsn, bytes)
      // The owner before may remove one still. Then newer ones replace it.
      else if (await this.#isListed(state)) damaged.push(this.#parts.prefix + state.name)
    }
    const { disk, dir } = this.#parts
    refusing(() => keepAppStates(disk, dir, sound, copiedLsn))
    const [file] = damaged
    if (sound.size === 0 && file !== undefined)
      throw new KeelsonError('CORRUPT', `the engine has no saved state whole: ${file} is damaged`, {
        details: { file, evidence: 'its checksum does not hold' },
      })
    return damaged
  }

  async #list(): Promise<readonly EngineState[]> {
    const { files, prefix } = this.#parts
    const names = await this.#calls.ask(() => files.list(`${prefix}state-`))
    return statesAmong(names.map((name) => name.slice(prefix.length)))
  }

  async #isListed({ name }: EngineState): Promise<boolean> {
    return (await this.#list()).some((each) => each.name === name)
  }

  async #refuseOther(epoch: number): Promise<void> {
    refuseOtherEpoch(await this.#calls.ask(() => this.#parts.log.head()), epoch)
  }

  async #upload(state: EngineState, bytes: Uint8Array): Promise<void> {
    const { files, prefix } = this.#parts
    const file = prefix + state.name
    await this.#calls.ask(() => files.put(file, piecesOf(bytes)))
    if (await this.#read(state)) return
    throw new KeelsonError('CORRUPT', `the engine does not return the whole saved state ${file}`, {
      details: { file, lsn: state.lsn, evidence: 'its checksum does not hold' },
    })
  }

  /** The bytes of a state in the folder, if they are those of the engine. */
  #cached({ lsn, sum }: EngineState): Uint8Array | undefined {
    const { disk, dir } = this.#parts
    const path = appStatePath(dir, lsn)
    let bytes: Uint8Array | undefined
    attempt(() => {
      if (disk.entry(path)) bytes = readWhole(disk, path)
    })
    return bytes && crc32(bytes) === sum ? bytes : undefined
  }

  /** The bytes of a state in the engine; `undefined` if it does not have them whole. */
  async #read({ name, sum }: EngineState): Promise<Uint8Array | undefined> {
    const { files, prefix } = this.#parts
    try {
      const bytes = await this.#calls.ask(async () => {
        const pieces: Uint8Array[] = []
        for await (const piece of files.read(prefix + name)) pieces.push(piece)
        return Buffer.concat(pieces)
      })
      return crc32(bytes) === sum ? bytes : undefined
    } catch (error) {
      if (isKeelsonError(error, 'CORRUPT')) return undefined
      throw error
    }
  }
}

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += pieceBytes)
    yield bytes.subarray(from, from + pieceBytes)
}

/**
 * Uploads the states of a folder as those of `epoch`, in their order. The engine has none of it yet.
 * @throws KeelsonError as the disk refuses; why `calls` ended
 */
export const putStates = async (
  { files, disk, dir, prefix }: Omit<EngineStatesParts, 'log'>,
  epoch: number,
  calls: EngineCalls,
): Promise<void> => {
  for (const [index, lsn] of refusing(() => statesIn(disk, dir)).entries()) {
    const bytes = refusing(() => readWhole(disk, appStatePath(dir, lsn)))
    const name = stateName({ epoch, seq: index + 1, lsn, sum: crc32(bytes) })
    await calls.ask(() => files.put(prefix + name, [bytes]))
  }
}
