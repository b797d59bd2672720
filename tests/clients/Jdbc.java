import java.sql.*;

/** pgjdbc: bound parameters with Describe before Bind, fetch size, metadata. */
public class Jdbc {
    public static void main(String[] args) throws Exception {
        String url = "jdbc:postgresql://127.0.0.1:" + System.getenv("PGPORT") + "/smartsneaks?user=analyst&sslmode=disable";
        try (Connection connection = DriverManager.getConnection(url)) {
            try (PreparedStatement statement =
                    connection.prepareStatement("SELECT * FROM forecast(?, horizon => ?)")) {
                statement.setString(1, "SKU1");
                statement.setInt(2, 28);
                for (int run = 0; run < 7; run++) { // the driver prepares on the server from the fifth on
                    int rows = 0;
                    try (ResultSet result = statement.executeQuery()) {
                        while (result.next()) {
                            rows++;
                            double low = result.getDouble("lower_bound"), value = result.getDouble("forecast_value");
                            if (!(0 <= low && low <= value && value <= result.getDouble("upper_bound")))
                                throw new AssertionError("bounds");
                        }
                    }
                    if (rows != 28) throw new AssertionError(rows + " rows");
                }
            }
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(100);
                int rows = 0;
                try (ResultSet result = statement.executeQuery("SELECT * FROM generate_series(1, 1050)")) {
                    while (result.next()) rows++;
                }
                if (rows != 1050) throw new AssertionError(rows + " rows by fetch size");
            }
            connection.commit();
            try (Statement statement = connection.createStatement()) {
                statement.executeQuery("SELECT * FROM no_such_table");
                throw new AssertionError("no error");
            } catch (SQLException expected) {
                if (!"42P01".equals(expected.getSQLState())) throw expected;
            }
            connection.rollback();
        }
    }
}
