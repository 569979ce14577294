defmodule Driver do
  @moduledoc """
  The process that carries out the steps; what reaches its mailbox is an event. The BEAM has no
  virtual clock, so the recorder sleeps: for an `advance`, and between looks at what still runs.
  """
  import World
  import Json, only: [get: 2]

  def start(w, runner) do
    enter(w)
    Process.flag(:trap_exit, true)
    label(self(), "driver")
    loop(runner)
  end

  defp loop(runner) do
    receive do
      {:step, ref, step} ->
        result = carry_out(step)
        send(runner, {ref, result})
        loop(runner)
      other ->
        record(event(World.message(other)))
        loop(runner)
    end
  end

  defp carry_out([op | args]) do
    chaos()
    step(op, args)
  rescue
    _ -> {:obj, [{"$error", "*"}]}
  catch
    :exit, r -> ["exit", encode(bare(r))]
  end

  defp step("multi", [steps]), do: Enum.map(steps, &carry_out/1)
  defp step("start", [base, proc | o]) do
    o = options(List.first(o))
    Starts.start(base, proc, term(get(o, "arg")), get(o, "link") == true, wait(o, :infinity)) |> Starts.result()
  end
  defp step("call", [t, name, p | o]), do: ["ok", encode(GenServer.call(target(t), {String.to_atom(name), term(p)}, wait(List.first(o))))]
  defp step("call_async", [tag, t, name, p | o]) do
    {t, p, o} = {target(t), term(p), wait(List.first(o))}
    client(tag, fn -> GenServer.call(t, {String.to_atom(name), p}, o) end)
  end
  defp step("stop_async", [tag, t, r | o]) do
    {t, r, o} = {target(t), term(r), wait(List.first(o), :infinity)}
    client(tag, fn -> GenServer.stop(t, r, o) end)
  end
  defp step("stop", [t, r | o]), do: ok(GenServer.stop(target(t), term(r), wait(List.first(o), :infinity)))
  defp step("cast", [t, name, p]), do: ok(GenServer.cast(target(t), {String.to_atom(name), term(p)}))
  defp step("send", [t, name, p]), do: ok(Actions.deliver(target(t), {String.to_atom(name), term(p)}))
  defp step("exit", [t, r]), do: ok(Process.exit(process(t), term(r)))
  defp step("link", [t]), do: ok(Process.link(process(t)))
  defp step("unlink", [t]), do: ok(Process.unlink(process(t)))
  defp step("monitor", [t, tag]), do: ok(Actions.monitor(target(t), tag))
  defp step("demonitor", [tag | o]) do
    {info, found} = Actions.demonitor(tag, List.first(o))
    if info, do: found, else: "ok"
  end
  defp step("send_after", [n, t, name, p, tag]) do
    Process.put({:timer, tag}, Process.send_after(Actions.timed(t, %{}), {String.to_atom(name), term(p)}, ms(n)))
    "ok"
  end
  defp step("cancel_timer", [tag]), do: Actions.cancel_timer(tag)
  defp step("read_timer", [tag]), do: Actions.read_timer(tag)
  defp step("alive", [t]), do: alive(target(t))
  defp step("links", [t]) do
    case (case target(t) do p when is_pid(p) -> p; n -> GenServer.whereis(n) end) |> (&(&1 && Process.info(&1, :links))).() do
      nil -> nil
      {:links, ls} ->
        for(p <- ls, {:obj, [{_, l}]} <- [encode(p)], l != "?", do: l) |> Enum.sort()
    end
  end
  defp step("whereis", [name]), do: encode(Process.whereis(local(name)))
  defp step("get_state", [t]), do: encode(:sys.get_state(target(t)))
  defp step("replace_state", [t, s]) do
    s = term(s)
    encode(:sys.replace_state(target(t), fn _ -> s end))
  end
  defp step("suspend", [t]), do: ok(:sys.suspend(target(t)))
  defp step("resume", [t]), do: ok(:sys.resume(target(t)))
  defp step("sys_status", [t]) do
    {:status, _, _, [_, status | _]} = :sys.get_status(target(t))
    encode(status)
  end
  defp step("statistics", [t, what]) do
    case {what, :sys.statistics(target(t), Map.fetch!(%{"on" => true, "off" => false, "get" => :get}, what))} do
      {"get", {:ok, :no_statistics}} -> "no_statistics"
      {"get", {:ok, l}} -> ["in", l[:messages_in], "out", l[:messages_out]]
      {_, :ok} -> "ok"
    end
  end
  defp step("reg", [op | args]), do: Actions.registry(op, args, %{})
  defp step("which_children", [sup]) do
    children = for {id, child, type, _} <- Supervisor.which_children(target(sup)), do: [encode(id), encode(child), encode(type)]
    dynamic = children != [] and Enum.all?(children, &(hd(&1) == "undefined"))
    if dynamic, do: Enum.sort_by(children, &Actions.text(Enum.at(&1, 1))), else: children
  end
  defp step("count_children", [sup]) do
    counts = Supervisor.count_children(target(sup))
    {:obj, for(k <- [:specs, :active, :supervisors, :workers], do: {to_string(k), counts[k]})}
  end
  defp step("start_child", [sup, c]), do: Supervisor.start_child(target(sup), Starts.child(c, &term(get(&1, "arg")))) |> encode()
  defp step("terminate_child", [sup, id]), do: Supervisor.terminate_child(target(sup), String.to_atom(id)) |> encode()
  defp step("restart_child", [sup, id]), do: Supervisor.restart_child(target(sup), String.to_atom(id)) |> encode()
  defp step("delete_child", [sup, id]), do: Supervisor.delete_child(target(sup), String.to_atom(id)) |> encode()
  defp step("dyn_start_child", [sup, c]), do: DynamicSupervisor.start_child(target(sup), Starts.child(c, &term(get(&1, "arg")))) |> encode()
  defp step("dyn_terminate_child", [sup, t]), do: DynamicSupervisor.terminate_child(target(sup), process(t)) |> encode()
  defp step("task_child", [sup, base, body | o]) do
    w = world()
    parent = self()
    fun = fn ->
      enter(w)
      Process.put(:parent, parent)
      label(self(), base)
      Actions.run(body, %{state: nil, payload: nil, from: nil})
    end
    sup = if is_binary(sup), do: process(sup), else: target(sup)
    restart = opt(List.first(o), "restart")
    result = Task.Supervisor.start_child(sup, fun, if(restart, do: [restart: String.to_atom(restart)], else: []))
    with {:ok, pid} <- result, do: label(pid, base)
    Starts.result(result)
  end

  defp ok(_), do: "ok"

  defp alive(pid) when is_pid(pid), do: Process.alive?(pid)
  defp alive(name), do: GenServer.whereis(name) != nil

  defp client(tag, ask) do
    w = world()
    spawn(fn ->
      enter(w)
      label(self(), "client #{tag}")
      chaos()
      outcome =
        try do
          ["returned", encode(ask.())]
        catch
          :exit, r -> ["failed", encode(bare(r))]
        end
      record(outcome)
    end)
    "ok"
  end
end

defmodule Play do
  @moduledoc "Plays a scenario in real time: a step, until nothing more happens; then the next."

  def play(scenario, n, o) do
    tab = :ets.new(:scenario, [:public, {:write_concurrency, true}])
    runner = self()
    collector = spawn(fn -> World.collect(tab, runner, %{}, MapSet.new()) end)
    {:obj, procs} = Json.get(scenario, "procs")
    w = %{tab: tab, collector: collector, prefix: "s#{n}.", procs: Map.new(procs), chaos: o.chaos, scale: o.scale}
    World.enter(w)
    raised(scenario, tab)
    driver = spawn(fn -> receive do :go -> Driver.start(w, runner) end end)
    :erlang.trace(driver, true, [:procs, :set_on_spawn, {:tracer, collector}])
    send(driver, :go)
    settle(driver, collector, o)
    take(tab, nil)
    try do
      traces = Enum.map(Json.get(scenario, "steps"), &step(&1, driver, collector, tab, o))
      case :ets.lookup(tab, :invalid) do
        [{_, why}] -> {:error, why}
        [] -> {:ok, traces}
      end
    catch
      :throw, why -> {:error, why}
    after
      try do
        for pid <- [driver | pids(collector)], do: Process.exit(pid, :kill)
        # On a real BEAM: what was killed needs a moment to start what it still starts.
        :timer.sleep(5)
        for pid <- pids(collector), do: Process.exit(pid, :kill)
      catch
        :throw, _ -> Process.exit(collector, :kill)
      end
      send(collector, :done)
    end
  end

  # Every message that the scenario can raise, known beforehand.
  defp raised(["raise", m], tab) when is_binary(m), do: :ets.insert(tab, {{:raised, m}, true})
  defp raised(l, tab) when is_list(l), do: Enum.each(l, &raised(&1, tab))
  defp raised({:obj, ps}, tab), do: Enum.each(ps, fn {_, v} -> raised(v, tab) end)
  defp raised(_, _), do: :ok

  defp step(["advance", ms], driver, collector, tab, o) do
    Process.sleep(ms * o.scale + o.margin + min(div(ms, 100), 10))
    settle(driver, collector, o)
    take(tab, "ok")
  end
  defp step(step, driver, collector, tab, o) do
    ref = make_ref()
    send(driver, {:step, ref, step})
    result = receive do
      {^ref, result} -> result
    after
      60 * o.scale -> throw("takes time")
    end
    settle(driver, collector, o)
    take(tab, result)
  end

  defp take(tab, result) do
    events =
      :ets.match_object(tab, {{:event, :_}, :_, :_}) |> Enum.sort()
    for {key, _, _} <- events, do: :ets.delete(tab, key)
    grouped = Enum.group_by(events, &elem(&1, 1), &elem(&1, 2)) |> Enum.sort()
    if grouped == [], do: {:obj, [{"result", result}]},
      else: {:obj, [{"result", result}, {"events", {:obj, grouped}}]}
  end

  defp settle(driver, collector, o, before \\ nil, quiet \\ 0, rounds \\ 0)
  defp settle(_, _, _, _, _, 400), do: throw("never settles")
  defp settle(driver, collector, o, before, quiet, rounds) do
    Process.sleep(1)
    now = for pid <- [driver | pids(collector)], do: {pid, Process.info(pid, [:status, :reductions, :message_queue_len])}
    idle = Enum.all?(now, fn {_, i} -> i == nil or i[:status] == :waiting end)
    quiet = if idle and now == before, do: quiet + 1, else: 0
    if quiet < o.quiet, do: settle(driver, collector, o, now, quiet, rounds + 1)
  end

  defp pids(collector) do
    ref = make_ref()
    send(collector, {:pids, self(), ref})
    receive do
      {^ref, set} -> MapSet.to_list(set)
    after 5000 -> throw("collector is gone")
    end
  end
end

defmodule Main do
  @moduledoc "Records the scenarios of files: a line of JSON for each, with its id and its trace, or why there is none."
  def main(args) do
    Logger.configure(level: :none)
    :logger.set_primary_config(:level, :none)
    for app <- [:kernel, :stdlib, :elixir, :logger], {:ok, ms} = :application.get_key(app, :modules), m <- ms, do: Code.ensure_loaded(m)
    for m <- [World, Actions, Server, Tree, Starts, Driver, Play, Json], do: {:module, _} = Code.ensure_loaded(m)
    {o, files, _} = OptionParser.parse(args, strict: [out: :string, chaos: :boolean, scale: :integer, jobs: :integer, quiet: :integer, margin: :integer])
    settings = %{chaos: o[:chaos] || false, scale: o[:scale] || 1, quiet: o[:quiet] || 2, margin: o[:margin] || 4}
    scenarios = for f <- files, s <- Json.get(Json.decode(File.read!(f)), "scenarios"), do: s
    results =
      scenarios
      |> Enum.with_index()
      |> Task.async_stream(fn {s, n} -> {s, Play.play(s, n, settings)} end,
        max_concurrency: o[:jobs] || 30, timeout: :infinity, ordered: true)
      |> Enum.map(fn {:ok, {s, r}} -> Json.encode({:obj, [{"id", Json.get(s, "id")} | case r do
          {:ok, traces} -> [{"recorded", traces}]
          {:error, why} -> [{"fault", to_string(why)}]
        end]}) end)
    File.write!(o[:out], Enum.intersperse(results, "\n"))
  end
end
