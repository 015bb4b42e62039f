// Writes records with each codec of Kafka's own client, for the test that we read them all. Run as a single source
// file: java -cp 'LIB/*' CompressedProducer.java BROKERS TOPIC RECORDS
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

public class CompressedProducer {
  public static void main(String[] arguments) throws Exception {
    int records = Integer.parseInt(arguments[2]);
    for (String codec : new String[] {"none", "gzip", "snappy", "lz4", "zstd"}) {
      Properties properties = new Properties();
      properties.put("bootstrap.servers", arguments[0]);
      properties.put("compression.type", codec);
      properties.put("linger.ms", "200");
      properties.put("batch.size", "200000");
      properties.put("key.serializer", StringSerializer.class.getName());
      properties.put("value.serializer", StringSerializer.class.getName());
      try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties)) {
        for (int i = 0; i < records; i++) {
          String value = codec + " " + i + " " + "äöü compressible ".repeat(i % 50);
          producer.send(new ProducerRecord<>(arguments[1], "key", value));
        }
      }
    }
  }
}
