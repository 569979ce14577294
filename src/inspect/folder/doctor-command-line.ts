/** Parses `keelson doctor`: words in, a checked command out. Pure. */
import { flag, reported, wordsWith } from '../command/command-words.ts'

/** `keelson doctor`. The path is as written. */
export type DoctorCommand = ReturnType<typeof parseDoctor>

/** The part of `keelson help` about it. */
export const doctorUsage = `  keelson doctor DIR [--deep] [--repair] [--json] [--progress]
      Examines the data folder DIR and changes nothing: keelson.json, logs, snapshots, projections, large
      values, leftovers, permissions, the disk. Names each finding by a code, with what to do. Of the
      folder of a shard or of a log it examines the log alone.
      Exit status: 0 sound, 1 findings that call for something.
      --deep          also replays snapshot and log, compares each row, and reads large values whole
      --repair        does what cannot lose acknowledged data, and says what it did
      --json          one object on standard output`

/** Parses the words after `keelson doctor`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseDoctor = (words: readonly string[]) => {
  const options = { ...reported, deep: flag, repair: flag }
  const { word: dir, ...values } = wordsWith('doctor', 'one folder', words, options)
  return { kind: 'doctor', dir, ...values } as const
}
