/** Parses `keelson rehearse`: words in, a checked command out. Pure. */
import {
  flag,
  needed,
  read,
  reported,
  text,
  whole,
  wordsWith,
  wrongWords,
} from '../command/command-words.ts'
import { momentOf } from '../folder/backup-command-line.ts'

/** `keelson rehearse`. Paths are as written. */
export type RehearseCommand = ReturnType<typeof parseRehearse>

/** The part of `keelson help` about it. */
export const rehearseUsage = `  keelson rehearse DIR|BACKUP|CASES --with CONFIG [--against OLD_CONFIG] [--at LSN|TIME] [--ended N]
                   [--save CASES] [--fail-on blocks|acts|notes] [--allow-net] [--allow-addons]
                   [--json] [--progress]
      Judges what the build of CONFIG will do with the data, before it runs: on a copy beside DIR, which is
      removed in the end. A running instance with the option attach makes the backup for it. Nothing of
      the build starts; its modules load in a process without sockets, processes, threads and writes.
      --against CONFIG2  leaves out what the build of CONFIG2 finds too
      --at LSN|TIME   the data as of then
      --ended N       how many ended runs of each workflow are replayed, the newest first; 1,000
      --save CASES    writes some actors of each type into a folder, for tests; they are as secret as a backup
      --fail-on LEVEL the least level that fails; acts
      --allow-net     sockets are open while the modules load
      --allow-addons  modules in machine code may load; no guard holds them
      Exit status: 0 nothing of that level, 4 findings, 1 it failed.`

const levels = ['blocks', 'acts', 'notes'] as const

const level = read((given = 'acts', option) => {
  const found = levels.find((each) => each === given)
  if (found) return found
  throw wrongWords(`${option} must be ${levels.join(', ')}, found '${given}'`)
})

/** Parses the words after `keelson rehearse`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseRehearse = (words: readonly string[]) => {
  const at = read((given) => (given === undefined ? undefined : momentOf(given)))
  const { word: dir, ...values } = wordsWith('rehearse', 'one folder', words, {
    ...reported,
    with: needed,
    against: text,
    save: text,
    at,
    ended: whole(0, 1_000),
    'fail-on': level,
    'allow-net': flag,
    'allow-addons': flag,
  })
  return { kind: 'rehearse', dir, ...values } as const
}
