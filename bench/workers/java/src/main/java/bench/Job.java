package bench;

import com.google.gson.annotations.SerializedName;
import java.util.List;

/** What the harness wants, as it comes. */
record Job(
        String system,
        List<String> urls,
        String work,
        String lock,
        int clients,
        @SerializedName("hold_us") long holdMicros,
        @SerializedName("lease_ms") long leaseMillis,
        int depth,
        int pace) {

    /** Whether all clients want the one lock. */
    boolean shared() {
        return switch (work) {
            case "contend", "still", "hold", "next" -> true;
            default -> false;
        };
    }
}
