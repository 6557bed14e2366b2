import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** One line per check on standard output. */
final class Checks {
    static final String URL = System.getenv().getOrDefault("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F");
    static final int LARGE_BYTES =
        Integer.parseInt(System.getenv().getOrDefault("LARGE_MESSAGE_BYTES", "20971520"));
    private static final ExecutorService THREADS = Executors.newCachedThreadPool(task -> {
        Thread thread = new Thread(task);
        thread.setDaemon(true);
        return thread;
    });
    private static int failures;

    /** A check that needs what the runner does not offer throws this. */
    static final class Skip extends Exception { }

    interface Body {
        void run() throws Exception;
    }

    static String unique(String label) {
        return "clients." + label + "." + ProcessHandle.current().pid() + "."
            + UUID.randomUUID().toString().substring(0, 8);
    }

    /** Runs one check with a limit of 30 seconds and reports it. */
    static void check(String name, Body body) {
        try {
            THREADS.submit(() -> {
                body.run();
                return null;
            }).get(30, TimeUnit.SECONDS);
            System.out.println("ok " + name);
        } catch (Throwable thrown) {
            Throwable cause = thrown.getCause() == null ? thrown : thrown.getCause();
            if (cause instanceof Skip) {
                System.out.println("skip " + name);
                return;
            }
            failures++;
            String where = "";
            for (StackTraceElement element : cause.getStackTrace()) {
                if (element.getFileName() != null && !element.getClassName().equals("Checks")
                    && element.getModuleName() == null && !element.getClassName().startsWith("com.")) {
                    where = " at " + element.getFileName() + ":" + element.getLineNumber();
                    break;
                }
            }
            System.out.println("not ok " + name + ": " + cause.toString().replace('\n', ' ') + where);
        }
    }

    static void equal(Object got, Object expected) {
        if (!Objects.equals(got, expected)) throw new AssertionError("got " + got + ", expected " + expected);
    }

    static void truth(boolean condition, String what) {
        if (!condition) throw new AssertionError(what);
    }

    static <T> T eventually(Callable<T> probe, String what) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
        while (true) {
            T value = probe.call();
            if (value != null && !Boolean.FALSE.equals(value)) return value;
            if (System.nanoTime() > deadline) throw new AssertionError("never happened: " + what);
            Thread.sleep(10);
        }
    }

    static void restartBroker() throws Exception {
        String command = System.getenv("RESTART_COMMAND");
        if (command == null || command.isEmpty()) throw new Skip();
        int code = new ProcessBuilder(command, "restart").inheritIO()
            .redirectOutput(ProcessBuilder.Redirect.DISCARD).start().waitFor();
        equal(code, 0);
    }

    static void finish() {
        System.exit(failures == 0 ? 0 : 1);
    }

    private Checks() { }
}
