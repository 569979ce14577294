/**
 * `keelson wal dump`: prints a log frame by frame, no faster than somebody takes it. Damaged places are printed where they are,
 * and it goes on behind them; status 0 whatever is printed, also when the reader goes away before the end.
 */
import { resolve } from 'node:path'
import { dumping, nodeDisk } from '../storage/index.ts'
import { type Environment, signalStatuses } from './environment.ts'
import { Interruption } from './interruption.ts'
import { LineWriter } from './line-writer.ts'
import { runSteps } from './long-work.ts'
import { paintFor } from './paint.ts'
import type { WalDumpCommand } from './wal-command-line.ts'
import { dumpJson, dumpLine, logHeading } from './wal-dump-view.ts'
import { walTarget } from './wal-target.ts'

/** Runs it to its end; answers the exit status. @throws KeelsonError what cannot be read */
export const runWalDump = async (
  command: WalDumpCommand,
  environment: Environment,
): Promise<number> => {
  const disk = nodeDisk()
  const interruption = new Interruption(environment)
  const lines = new LineWriter(environment.output)
  const paint = paintFor(environment.output, environment.variables)
  const stop = new AbortController()
  const signal = AbortSignal.any([interruption.signal, stop.signal])
  try {
    const target = walTarget(disk, resolve(environment.cwd, command.dir))
    for (const log of target.logs) {
      if (!command.json && target.isDataFolder) lines.add(logHeading(log, paint))
      await runSteps(dumping(disk, log.dir, command), environment, signal, (record) => {
        if (record.kind === 'pause') return
        const line = command.json
          ? JSON.stringify(dumpJson(record, log.shard))
          : dumpLine(record, command.width, paint)
        if (!lines.add(line)) return
        return lines.flush().then(() => {
          if (lines.isGone) stop.abort()
        })
      })
      await lines.flush()
      if (signal.aborted || lines.isGone) break
    }
    const { received } = interruption
    return received ? signalStatuses[received] : 0
  } finally {
    await lines.flush()
    interruption.release()
  }
}
