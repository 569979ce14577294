/** Parses `keelson doctor`: words in, a checked command out. Pure. */
import { parsedWords, wrongWords } from '../command/command-words.ts'

/** `keelson doctor`. The path is as written. */
export type DoctorCommand = {
  readonly kind: 'doctor'
  readonly dir: string
  readonly deep: boolean
  readonly repair: boolean
  readonly json: boolean
  readonly progress: boolean
  readonly verbose: boolean
}

/** The part of `keelson help` about it. */
export const doctorUsage = `  keelson doctor DIR [--deep] [--repair] [--json] [--progress]
      Examines the data folder DIR and changes nothing: keelson.json, logs, snapshots, projections, large
      values, leftovers, permissions, the disk. Names each finding by a code, with what to do.
      Exit status: 0 sound, 1 findings that call for something.
      --deep          also replays snapshot and log, compares each row, and reads large values whole
      --repair        does what cannot lose acknowledged data, and says what it did
      --json          one object on standard output`

const boolean = { type: 'boolean' } as const

/** Parses the words after `keelson doctor`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseDoctor = (words: readonly string[]): DoctorCommand => {
  const { values, positionals } = parsedWords(words, {
    deep: boolean,
    repair: boolean,
    json: boolean,
    progress: boolean,
    verbose: boolean,
  })
  const [dir, second] = positionals
  if (dir === undefined || dir === '') throw wrongWords('doctor needs a folder')
  if (second !== undefined) throw wrongWords(`doctor takes one folder, and '${second}' is another`)
  return {
    kind: 'doctor',
    dir,
    deep: values.deep === true,
    repair: values.repair === true,
    json: values.json === true,
    progress: values.progress === true,
    verbose: values.verbose === true,
  }
}
