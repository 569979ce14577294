/** The libraries that the benches compare with live in a folder of their own and are installed at the first run. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../peers/', import.meta.url))

/** Installs the peers if they are not there; says so, because it takes a while and needs the network. */
export const installPeers = () => {
  if (existsSync(`${folder}node_modules/.package-lock.json`)) return
  console.log('Installing the libraries to compare with, once: npm ci in bench/peers …')
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: folder,
    stdio: 'inherit',
  })
  if (status !== 0) throw new Error('npm ci in bench/peers failed')
}
