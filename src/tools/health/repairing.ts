/** Carries out the steps of a repair, each durable before the next. The caller holds the locks. */
import { basename, dirname, join } from 'node:path'
import {
  type Disk,
  type Manifest,
  overwriteManifest,
  replaceManifest,
  writeDataFolder,
} from '../../storage/index.ts'
import type { Finding, RepairStep } from './finding.ts'

/** The order of the steps: files that name others are written before other files are removed. */
const order: readonly RepairStep['kind'][] = ['manifest', 'facts', 'set aside', 'remove']

/** The steps for these findings, each once, in their order. */
export const stepsOf = (findings: readonly Finding[]): readonly RepairStep[] => {
  const steps = new Map<string, RepairStep>()
  for (const { repair } of findings)
    for (const step of repair) steps.set(`${step.kind} ${placeOf(step)}`, step)
  return [...steps.values()].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind))
}

const placeOf = (step: RepairStep): string => ('path' in step ? step.path : step.dir)

/** Carries out a step, and says in a sentence what it did. @throws DiskError */
export const repair = (disk: Disk, step: RepairStep): string => {
  switch (step.kind) {
    case 'manifest':
      writeBothSlots(disk, step.dir, step.manifest)
      return `wrote MANIFEST in ${step.dir}: ${namesIn(step.manifest)}`
    case 'facts':
      writeDataFolder(disk, step.dir, step.facts)
      return `wrote keelson.json in ${step.dir}`
    case 'set aside':
      return `set ${step.path} aside as ${setAside(disk, step.path, step.to)}`
    case 'remove':
      disk.remove(step.path)
      disk.syncFolder(dirname(step.path))
      return `removed ${step.path}`
  }
}

const namesIn = ({ snapshots }: Manifest): string =>
  snapshots.length === 0
    ? 'it names no snapshot'
    : `it names the snapshots of lsn ${snapshots.map(({ lsn }) => lsn).join(', ')}`

/** The new file replaces the old one whole. A crash before the second slot is one damaged slot. */
const writeBothSlots = (disk: Disk, dir: string, manifest: Manifest): void => {
  replaceManifest(disk, dir, manifest)
  overwriteManifest(disk, dir, { ...manifest, generation: manifest.generation + 1 })
}

const setAside = (disk: Disk, path: string, to: string): string => {
  disk.makeFolder(to)
  disk.syncFolder(dirname(to))
  const taken = new Set(disk.list(to))
  let number = 1
  while (taken.has(`${basename(path)}-${number}`)) number++
  const target = join(to, `${basename(path)}-${number}`)
  disk.rename(path, target)
  for (const folder of [to, dirname(path)]) disk.syncFolder(folder)
  return target
}
