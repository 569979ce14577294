/** Where a figure was taken: without that it says nothing. */
import { cpus, loadavg, totalmem } from 'node:os'

/** Machine, Node and load, as data. */
export const environment = () => ({
  date: new Date().toISOString(),
  node: process.version,
  v8: process.versions.v8,
  platform: `${process.platform} ${process.arch}`,
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  load: Number(loadavg()[0]?.toFixed(2)),
})

/** The same in a line or two; a busy machine is told, because it makes every figure low. */
export const environmentLine = ({ date, node, platform, cpu, cores, load }) => {
  const line = `${date.slice(0, 16)}  node ${node}  ${platform}  ${cpu} × ${cores}  load ${load}`
  const isBusy = load > cores / 2
  return isBusy ? `${line}\nThe machine is busy: figures are low; --cpu divides by CPU time.` : line
}
