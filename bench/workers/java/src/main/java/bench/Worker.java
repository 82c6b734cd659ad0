package bench;

import com.google.gson.Gson;
import com.google.gson.JsonObject;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** The Java clients of the benchmark: speaks the protocol of the workers on standard input and output. */
public final class Worker {
    private static final Gson GSON = new Gson();
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    /**
     * How long the clients do their work before they are ready: until the JVM has compiled it, an operation costs up to ten
     * times the CPU time.
     */
    private static final double WARM_UP_SECONDS =
            Double.parseDouble(System.getenv().getOrDefault("LOCK_BENCH_JVM_WARM_UP", "3"));

    private Worker() {}

    /** Does one job, and ends with its input. */
    public static void main(String[] args) throws IOException {
        System.setOut(System.err); // standard output is for answers only
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Job job = GSON.fromJson(in.readLine(), Job.class);
        try {
            work(job, in);
        } catch (Exception e) {
            Throwable cause = e instanceof CompletionException && e.getCause() != null ? e.getCause() : e;
            Client.complain(cause);
            say(Map.of("error", cause.toString()));
        }
        Runtime.getRuntime().halt(0); // whatever still waits for a lock
    }

    private static void work(Job job, BufferedReader in) throws Exception {
        Locks locks = Locks.of(job.system());
        if (locks == null) {
            throw new IllegalArgumentException("the Java worker has no system " + job.system());
        }
        String why = locks.unsupported(job.work());
        if (why != null) {
            say(Map.of("unsupported", why));
            return;
        }
        locks.connect(job);
        Round round = new Round(job.clients());
        List<Client> clients = new ArrayList<>();
        for (int number = 0; number < job.clients(); number++) {
            clients.add(new Client(job, round, locks, number));
        }
        clients.forEach(Client::start);
        clients.forEach(client -> client.prepared.join());
        boolean still = job.work().equals("still");
        if (still) {
            round.starts.await();
            // No system tells that its clients wait. They have all asked by now, and get the time to connect and to queue.
            TimeUnit.MILLISECONDS.sleep(1000 + 2L * job.clients());
        } else if (!job.work().equals("hold") && !job.work().equals("next")) {
            round.run(WARM_UP_SECONDS);
        }
        say(Map.of("ready", true, "version", locks.version()));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            double seconds = GSON.fromJson(line, JsonObject.class).get("go").getAsDouble();
            if (still) {
                TimeUnit.MICROSECONDS.sleep((long) (seconds * 1e6));
                say(new Result(0, seconds, new long[0][], new long[0][], new long[0][], new int[job.clients()],
                        clients.stream().mapToInt(client -> client.errors).sum()));
            } else {
                round.run(seconds);
                say(Result.of(job, round, clients));
            }
        }
        if (!still) {
            round.run(Round.OVER);
            locks.close();
        }
    }

    private static void say(Object answer) {
        OUT.println(GSON.toJson(answer));
    }

    @SuppressWarnings("unused") // its names are those of the protocol
    private record Result(
            int operations,
            double seconds,
            long[][] latency,
            long[][] waits,
            long[][] handoff,
            int[] per_client,
            int errors) {

        static Result of(Job job, Round round, List<Client> clients) {
            int[] perClient = clients.stream().mapToInt(client -> client.latency.size()).toArray();
            long[][] latency = Samples.pairs(clients.stream().map(client -> client.latency).toList());
            boolean contends = job.work().equals("contend");
            long ended = contends ? round.until
                    : clients.stream().mapToLong(client -> client.ended).max().orElse(round.began);
            Stream<Samples> waits = clients.stream().flatMap(client -> Stream.of(client.latency, client.late));
            return new Result(
                    Arrays.stream(perClient).sum(),
                    (ended - round.began) / 1e9,
                    latency,
                    contends || job.work().equals("next") ? Samples.pairs(waits.toList()) : new long[0][],
                    Samples.pairs(clients.stream().map(client -> client.handoff).toList()),
                    perClient,
                    clients.stream().mapToInt(client -> client.errors).sum());
        }
    }
}
