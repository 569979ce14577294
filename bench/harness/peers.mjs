/** The libraries that the benches compare with live in a folder of their own and are installed at the first run. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../peers/', import.meta.url))

const isInstalled = () => {
  const { dependencies } = JSON.parse(readFileSync(`${folder}package.json`, 'utf8'))
  return Object.entries(dependencies).every(([name, version]) => {
    const path = `${folder}node_modules/${name}/package.json`
    return existsSync(path) && JSON.parse(readFileSync(path, 'utf8')).version === version
  })
}

const npm = (args) => spawnSync('npm', args, { cwd: folder, stdio: 'inherit' }).status === 0

/** Installs the peers if they are not there; says so, because it takes a while and needs the network. */
export const installPeers = () => {
  if (isInstalled()) return
  console.log('Installing the libraries to compare with, once: npm ci in bench/peers …')
  if (!npm(['ci', '--no-audit', '--no-fund', '--loglevel=error']))
    throw new Error('npm ci in bench/peers failed')
}

/**
 * Builds an installed peer whose binding is not there: `load` throws. No script runs at an installation, so this is the
 * one that does: a binary of its makers where it can be had, else their source by node-gyp. Answers why it is absent, if so.
 */
export const buildPeer = (name, load) => {
  if (reasonAgainst(load) === undefined) return undefined
  console.log(`Building ${name}, once; from source it takes minutes …`)
  npm(['rebuild', name, '--ignore-scripts=false', '--foreground-scripts', '--loglevel=error'])
  return reasonAgainst(load)
}

const reasonAgainst = (load) => {
  try {
    load()
    return undefined
  } catch (error) {
    return `${error.message.split('\n')[0]}`
  }
}
