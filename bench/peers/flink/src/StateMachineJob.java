import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.LongAdder;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.lib.NumberSequenceSource;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.Collector;

/**
 * The peers' job in Flink: one state machine of five states per key, 1,000 keys, eight kinds of events of 100 bytes made in
 * process, two kinds illegal. State on the heap, one task slot, objects reused: Flink at its fastest. Usage: EVENTS [REPETITIONS].
 * The first repetition is warm-up. Prints one line of JSON per repetition.
 */
public final class StateMachineJob {
  private static final int SIZE = 100;
  private static final int KEYS = 1000;
  private static final LongAdder ILLEGAL = new LongAdder();

  static byte[] event(long i) {
    long mixed = i * 0x9E3779B97F4A7C15L;
    byte[] bytes = new byte[SIZE];
    ByteBuffer.wrap(bytes)
        .putInt((int) ((mixed >>> 33) % KEYS))
        .put((byte) ((mixed >>> 20) & 7))
        .putLong(1_700_000_000_000L + i)
        .putLong(i);
    return bytes;
  }

  static int next(int state, int kind) {
    return kind < 6 ? (state + kind + 1) % 5 : -1;
  }

  static final class Judge extends KeyedProcessFunction<Integer, byte[], String> {
    private transient ValueState<Integer> state;

    @Override
    public void open(OpenContext context) {
      state = getRuntimeContext().getState(new ValueStateDescriptor<>("state", Types.INT));
    }

    @Override
    public void processElement(byte[] bytes, Context context, Collector<String> out) throws Exception {
      ByteBuffer event = ByteBuffer.wrap(bytes);
      event.getInt();
      int kind = event.get();
      long at = event.getLong();
      Integer known = state.value();
      int next = next(known == null ? 0 : known, kind);
      if (next >= 0) {
        state.update(next);
        return;
      }
      ILLEGAL.increment();
      if ((at & 1023) == 0) out.collect("illegal " + context.getCurrentKey());
    }
  }

  public static void main(String[] args) throws Exception {
    long events = Long.parseLong(args[0]);
    int repetitions = args.length > 1 ? Integer.parseInt(args[1]) : 3;
    OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    for (int repetition = 0; repetition < repetitions; repetition++) {
      Configuration configuration = new Configuration();
      configuration.setString("state.backend.type", "hashmap");
      configuration.setString("taskmanager.numberOfTaskSlots", "1");
      configuration.setString("pipeline.object-reuse", "true");
      configuration.setString("rest.address", "127.0.0.1");
      configuration.setString("rest.bind-address", "127.0.0.1");
      configuration.setString("rest.bind-port", "0");
      StreamExecutionEnvironment environment = StreamExecutionEnvironment.createLocalEnvironment(1, configuration);
      environment
          .fromSource(new NumberSequenceSource(0, events - 1), WatermarkStrategy.noWatermarks(), "numbers")
          .map(StateMachineJob::event)
          .returns(PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO)
          .keyBy((KeySelector<byte[], Integer>) bytes -> ByteBuffer.wrap(bytes).getInt(), Types.INT)
          .process(new Judge())
          .sinkTo(new DiscardingSink<>());
      ILLEGAL.reset();
      long cpuBefore = system.getProcessCpuTime();
      long wallBefore = System.nanoTime();
      environment.execute("state machines");
      System.out.printf(
          java.util.Locale.ROOT,
          "{\"events\":%d,\"illegal\":%d,\"wall\":%.3f,\"cpu\":%.3f}%n",
          events,
          ILLEGAL.sum(),
          (System.nanoTime() - wallBefore) / 1e9,
          (system.getProcessCpuTime() - cpuBefore) / 1e9);
    }
    System.exit(0);
  }
}
