/**
 * Commands that are prepared before they are written (FerricStore's `BlobCommand.prepare`): their
 * large values are durable in the blob store already, and the write that follows waits for no blob.
 * A prepared command that is never written leaves an orphan, which a sweep frees.
 */

import { invalidArgument, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import { type Command, checkCommand, checkCommands } from '../../storage/index.ts'
import { sideChannelCandidate, withBlobs } from '../blobs/blob-command.ts'
import type { BlobPin } from '../blobs/blob-pins.ts'
import { isElsewhere } from '../core/at-owner.ts'
import type { CheckedWrite } from '../core/shard-client.ts'
import { bytesCounted, checkCount, commandsIn } from '../core/write-weight.ts'
import { beforeTheLog } from '../log/appends.ts'
import { settlingPin, storePayloads, valueBytesOf } from './large-write.ts'
import type { WritingShard } from './writing-shard.ts'

/**
 * A command whose large values are in the blob store of its shard. It is for one write, by
 * `app.batcher.write` or `writeBatch`; a write that was refused at the gate may be repeated. Its
 * blobs are kept for `blobs.graceMs`, and at least for the deadline of the call that made it, while
 * the shard stays at this member.
 */
export class PreparedCommand {
  /** The shard that it is for. */
  readonly shard: number
  /** Whether any value of it is a blob. */
  readonly hasBlobs: boolean
  readonly #shard: WritingShard
  readonly #command: Command
  readonly #pin: BlobPin | undefined
  readonly #disarm: () => void
  #isOver = false

  /** @internal */
  constructor(shard: WritingShard, command: Command, pin: BlobPin | undefined, keptMs: number) {
    this.shard = shard.index
    this.hasBlobs = pin !== undefined
    this.#shard = shard
    this.#command = command
    this.#pin = pin
    const end = (): void => void this.release()
    const cancel = shard.parts.clock.after(keptMs, end, { holdsProcess: false })
    // No other member knows its pin.
    const unlisten = shard.onPhase(() => isElsewhere(shard) && end())
    this.#disarm = () => {
      cancel()
      unlisten()
    }
  }

  /** Gives it up: its blobs are orphans from now on. False if it was written or is over. */
  release(): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#disarm()
    this.#pin?.release()
    return true
  }

  /**
   * @internal The command, for a write to `shard`. `pin` keeps its blobs too.
   * @throws KeelsonError `INVALID_ARGUMENT` for another shard; `DISCARDED` if it is over
   */
  use(shard: WritingShard): Command {
    if (shard !== this.#shard)
      throw invalidArgument('command', `one that was prepared for shard ${shard.index}`, this.shard)
    if (!this.#isOver) return this.#command
    const message =
      'the prepared command was written, released, or too late, or its shard went down'
    throw new KeelsonError('DISCARDED', message)
  }

  /** @internal Keeps its blobs by another pin too. */
  keepBy(pin: BlobPin): void {
    if (this.#pin) pin.add(this.#pin.refs)
  }
}

/**
 * Checks and copies a command, and makes its large values durable. It enters the gate as a write
 * does, and leaves it when they are.
 * @throws KeelsonError as a large write does before the log: `BUSY`, `NO_SPACE`, `NOT_SUBMITTED`,
 * `SHARD_DOWN`, `CLOSED`, `TOO_LARGE`, `INVALID_ARGUMENT`
 */
export const prepareCommand = async (
  system: System,
  shard: WritingShard,
  units: readonly Command[],
  { deadlineMs, whenFull }: CheckedWrite,
): Promise<PreparedCommand> => {
  const { terms, settings } = shard.blobs.parts
  const keptMs = Math.max(settings.graceMs, deadlineMs)
  if (!sideChannelCandidate(units, terms))
    return new PreparedCommand(shard, onlyOf(units), undefined, keptMs)
  const commands = commandsIn(units)
  checkCount(units, commands)
  const weight = { commands, bytes: bytesCounted(commands, valueBytesOf(units)) }
  const endsAt = system.clock.monotonic() + deadlineMs
  await new Promise<void>((resolve, reject) =>
    shard.gate.enter({ ...weight, deadlineMs, whenFull }, () => resolve(), reject),
  )
  const pin = shard.blobs.pins.hold()
  try {
    const put = (payloads: readonly Uint8Array[]) =>
      storePayloads({ system, shard, pin, endsAt }, payloads)
    // A command stays a command.
    const prepared = (await withBlobs(units, terms, put)) as readonly Command[]
    return new PreparedCommand(shard, onlyOf(prepared), pin, keptMs)
  } catch (error) {
    pin.release()
    throw beforeTheLog(error)
  } finally {
    shard.gate.leave(weight)
  }
}

const onlyOf = ([only]: readonly Command[]): Command => {
  if (!only) throw new Error('there is no command')
  return only
}

const isPrepared = (given: unknown): given is PreparedCommand => given instanceof PreparedCommand

/**
 * Commands from outside, checked and copied; prepared ones as they were made.
 * @throws KeelsonError as `checkCommands` and `PreparedCommand.use` do
 */
export const commandsFor = (
  shard: WritingShard,
  given: readonly (Command | PreparedCommand)[],
): readonly Command[] => {
  if (!Array.isArray(given) || !given.some(isPrepared)) return checkCommands(given)
  return given.map((each) => (isPrepared(each) ? each.use(shard) : checkCommand(each)))
}

/** Writes commands, of which some were prepared. Those are over when the write is durable. */
export const writingPrepared = async <T>(
  shard: WritingShard,
  given: readonly (Command | PreparedCommand)[],
  write: () => Promise<T>,
): Promise<T> => {
  const prepared = given.filter(isPrepared)
  if (prepared.length === 0) return write()
  const pin = shard.blobs.pins.hold()
  for (const each of prepared) each.keepBy(pin)
  const written = await settlingPin(pin, write())
  for (const each of prepared) each.release()
  return written
}
