/**
 * `keelson run --members`: several processes on one data folder. This process is their parent, and
 * runs the same command line once for each member.
 */
import { againPauses, backoffMs, type Clock, passed } from '../../clock.ts'
import { configError, type KeelsonError } from '../../errors.ts'
import { packageVersion } from '../../package-version.ts'
import { onProcess } from '../../process-events.ts'
import { type Logger, loggerOf, withFacts } from '../../runtime/index.ts'
import {
  type App,
  checkMembersOptions,
  folderEngine,
  type MembersOptions,
  membersMax,
  type StartOptions,
} from '../../supervisors/index.ts'
import { judgedSorts } from '../answers/member-looks.ts'
import { type Configuration, namingFile } from '../command/configuration-file.ts'
import { type Environment, startFailureStatus } from '../command/environment.ts'
import { ClusterProcesses } from '../members/cluster-processes.ts'
import { MemberLink } from '../members/member-link.ts'
import { MembersParent } from '../members/members-parent.ts'
import { memberNames } from '../members/members-plan.ts'
import { orphanIn, stillHeld } from '../members/orphaned-members.ts'
import { errorText } from '../text/error-view.ts'
import type { InstanceCommand } from './command-line.ts'
import { runInstance } from './instance-run.ts'
import { ServiceLines, ServiceManager, serviceAttendance, serviceLog } from './run-command.ts'

/**
 * Longer than by default: many processes that start at one time may need it, and if one of them does
 * not come, the parent ends all.
 */
const arrivalMs = 20_000

/** A start waits so long for members whose parent has ended, in ms. */
const orphansMs = 60_000

/**
 * Runs the command, in the parent or in a member, and resolves with the exit status.
 * @throws KeelsonError `CONFIG` for too many members
 */
export const runMembers = async (
  command: InstanceCommand,
  environment: Environment,
  count: number,
): Promise<number> => {
  const names = memberNames(command.members === 'cores' ? Math.min(count, membersMax) : count)
  if (names.length > membersMax) throw configError('--members', `at most ${membersMax}`, count)
  const link = MemberLink.here(environment.variables)
  return link
    ? runMember(command, environment, link, names)
    : runParent(command, environment, names)
}

const runParent = async (
  command: InstanceCommand,
  environment: Environment,
  names: readonly string[],
): Promise<number> => {
  const log = serviceLog(command, environment, environment.errors)
  const manager = new ServiceManager(environment, (text) => log.warn(text))
  const parent = new MembersParent(names, {
    clock: environment.clock,
    log,
    processes: new ClusterProcesses(packageVersion()),
    announce: (line) => {
      serviceLog(command, environment, environment.output).info(
        `ready: ${line}, ${names.length} members`,
      )
      manager.ready()
    },
  })
  const release = environment.onSignal((signal) => {
    manager.stopping()
    parent.signalled(signal)
  })
  const forget = onProcess('SIGHUP', () => parent.hungUp())
  try {
    return await parent.finished
  } finally {
    forget()
    release()
    manager.release()
  }
}

/** The service of one member. Its failures are lines of its log. */
const runMember = async (
  command: InstanceCommand,
  environment: Environment,
  link: MemberLink,
  names: readonly string[],
): Promise<number> => {
  const own = namedLog(command, environment, link.name)
  const lines = new ServiceLines(own)
  const { log } = lines
  // Until the process ends, for it runs nothing else.
  lines.watchUnhandled(command.log === 'json')
  const attendance = serviceAttendance(lines, own, (line) => link.ready(line))
  let members: MembersOptions | undefined
  const inMember = { ...environment, onSignal: link.onSignal.bind(link) }
  const run = (): Promise<number> =>
    runInstance(command, inMember, {
      ...attendance,
      attend: async (app, started, over) => {
        sendJudged(app, link)
        await attendance.attend(app, started, over)
      },
      // Of signals the parent speaks.
      interrupted: () => log.info('ends in order'),
      configured: (configuration) => {
        refuseOtherVersion(link)
        members = checkMembersOptions(configuration.members)
        return memberOptions(configuration, link.name, names)
      },
      onProgress: (progress) => {
        if (progress.step === 'locked' && members) link.joined(members)
        attendance.onProgress(progress)
      },
    })
  try {
    return await onceClosed(run, environment.clock, log)
  } catch (reason) {
    lines.failed(reason)
    // A line of text has the whole error. One of JSON has it as a fact.
    own.error(errorText(reason, command.verbose), command.log === 'json' ? { reason } : {})
    return startFailureStatus(reason)
  }
}

/** Says to the parent which sorts of actors at rest this build would block, each time when all are judged. */
const sendJudged = (app: App, link: MemberLink): void => {
  const { judgement } = app.entities
  if (!judgement.again) link.judged([])
  else judgement.onOver(() => link.judged(judgedSorts(app)))
}

/**
 * Runs a member. If a member of a killed parent has its name in the folder, it runs when that has closed.
 * @throws KeelsonError as the run
 */
const onceClosed = async (
  run: () => Promise<number>,
  clock: Clock,
  log: Logger,
): Promise<number> => {
  const endsAt = clock.monotonic() + orphansMs
  for (let tries = 1; ; tries++) {
    try {
      return await run()
    } catch (error) {
      const orphan = orphanIn(error)
      if (!orphan) throw error
      if (clock.monotonic() >= endsAt) throw stillHeld(error as KeelsonError, orphan)
      const { pid, parent } = orphan
      if (tries === 1)
        log.warn(
          `process ${pid} holds the folder, a member whose parent, process ${parent}, has ended: waits up to ${orphansMs / 1_000} s until it has closed`,
          { pid, parent },
        )
    }
    await passed(clock, backoffMs(againPauses, tries))
  }
}

/** Members of two versions do not work side by side. @throws KeelsonError `CONFIG` */
const refuseOtherVersion = ({ parentVersion }: MemberLink): void => {
  if (packageVersion() !== parentVersion)
    throw configError(
      'keelson',
      `${parentVersion}, as its parent is: restart the service`,
      packageVersion(),
    )
}

/** @throws KeelsonError `CONFIG` with the name of the file */
const memberOptions = (
  { file, options }: Configuration,
  member: string,
  members: readonly string[],
): StartOptions => {
  const { instance = 'default', shards, cluster } = options
  if (cluster) throw namingFile(file, configError('cluster', 'absent with --members', cluster))
  // Before a new folder is made with so few.
  if (shards !== undefined && shards < members.length)
    throw namingFile(
      file,
      configError('shards', `at least ${members.length} for as many members`, shards),
    )
  const engine = { ...folderEngine({ members, arrivalMs }), parent: process.ppid }
  const shared = { name: instance, member, engine }
  return { ...options, cluster: shared }
}

/** The log of a member: each line has its name. */
const namedLog = (command: InstanceCommand, environment: Environment, member: string): Logger => {
  const log = serviceLog(command, environment, environment.errors)
  if (command.log === 'json') return withFacts(log, { member })
  return loggerOf((level) => (message, facts) => log[level](`${member}: ${message}`, facts))
}
